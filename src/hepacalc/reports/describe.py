"""What is said of one calcification: number, sizes, sites, pattern, host, density."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hepacalc.reports.cues import Cue, table
from hepacalc.reports.records import Number, Site, Size, Words

__all__ = ["density_of", "described", "number_of", "sites_of", "sizes_of"]

Mark = Callable[[int, int, str], Words]
"""Makes words of the source from a place in the sentence and a role."""

_NUM = r"\d{1,3}(?:\.\d{1,2})?"
_SIZE = re.compile(
    rf"(?P<sign><=?|>=?|less than |under |below |up to |小于|不足|大于|"
    rf"超过)? ?(?P<nums>{_NUM}(?: ?(?:mm|cm|毫米|厘米|公分))?"
    rf"(?: ?(?:x|×|\*|by|乘|-|~|to|至|、) ?{_NUM}(?: ?(?:mm|cm|毫米|厘米|公分))?){{0,2}}) ?-?"
    r"(?P<unit>mm|cm|millimet\w+|centimet\w+|毫米|厘米|公分)(?![a-z2-3²³]|\s?(?:hg|/|slice|thick|collimation|层|间隔))"
)
_UNIT = {"mm": 1.0, "mi": 1.0, "毫米": 1.0, "cm": 10.0, "ce": 10.0, "厘米": 10.0, "公分": 10.0}
_OTHER = re.compile(
    r"(?:span|craniocaudal|slice|thickness|collimation|wall|length|长径|厚约?|斜径|内径|前后径|上下径|肋下|宽约?|层厚|层距|管径|直径约?(?=.{0,3}门)|"
    r"portal vein|cbd|duct|门静脉|胆总管|胆管|midclavicular|enlarged|measures? in)\W*(?:\w+\W+){0,3}$"
)
_HU = re.compile(
    r"(?:ct值?|密度)?(?:值|约|为|attenuation|density|of|about|~|:|\s)*(-?\d{2,4})(?:\s?(?:-|~|to)\s?(-?\d{2,4}))?\s?(?:hu|hounsfield)"
)
_COUNT = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "两": 2, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10,
}  # fmt: skip
_COUNTED = re.compile(
    r"(?<![\d.a-z])(two|three|four|five|six|seven|eight|nine|ten|[2-9]|1\d|"
    r"20)(?=,? (?:\w+[- ]){0,4}?(?:calcif\w*|calcs?\b|granulomas|"
    r"foci|lesions|spots|nodules|echogenic|hyperechoic|hyperdens\w+))(?! ?(?:mm|cm|x|-|th|\.|/))"
    r"|([两二三四五六七八九十]|[2-9]|1\d)(?:个|枚|处|块|粒|颗)(?!月|年)"
)
_ROMAN = {
    "i": "1",
    "ii": "2",
    "iii": "3",
    "iv": "4",
    "v": "5",
    "vi": "6",
    "vii": "7",
    "viii": "8",
    "iva": "4a",
    "ivb": "4b",
}
_CHINESE = dict(zip("一二三四五六七八", "12345678", strict=True))
_SEGMENT = re.compile(
    r"(?:segments?|segs?\.?|segm\.?|sg\.?|couinaud|(?<![a-z])s|第|肝) ?(?P<list>(?:iv[ab]?|viii|vii|"
    r"vi|v|iii|ii|i|[1-8][ab]?)(?![a-z0-9]|\.\d|(?: ?(?:mm|cm|x|×)))"
    r"(?:\s?(?:/|,|、|&|-|~|and|or|to|和|及|至)\s?(?:and )?(?:segments? |s)?(?:iv[ab]?|viii|vii|vi|v|"
    r"iii|ii|i|[1-8][ab]?)(?![a-z0-9]|\.\d|\s?(?:mm|cm|x|×|个|枚)))*)"
    r"|(?P<zh>(?:viii|vii|vi|iv[ab]?|iii|ii|v|i|[1-8][ab]?|[一二三四五六七八])(?:[、,/及和-](?:viii|vii|vi|iv[ab]?|iii|ii|v|i|[1-8]|[一二三四五六七八]))*)段"
)
_ONE = re.compile(r"iv[ab]?|viii|vii|vi|v|iii|ii|i|[1-8][ab]?|[一二三四五六七八]")


def number_of(text: str, start: int, end: int, mark: Mark) -> Number | None:
    """Return how many, from words near the mention."""
    low, high = max(0, start - 60), min(len(text), end + 30)
    for match in _COUNTED.finditer(text, low, high):
        if match.start() >= end and not re.search(r"[\u3400-\u9fff]", match.group()):
            continue
        said = match[1] or match[2]
        count = _COUNT.get(said) or int(said)
        return Number(count, "single" if count == 1 else "few" if count <= 5 else "many", mark(*match.span(), "number"))
    cues = [c for c in table("describe").find(text, ("number",)) if low <= c.start and c.end <= high]
    best: tuple[int, Cue] | None = None
    for cue in cues:
        a, b = cue.start, cue.end
        gap = text[b:start] if b <= start else text[end:a] if a >= end else ""
        if re.search(r"[;。]|\bno\b|,(?!.{0,18}$)", gap) or (a >= end and (len(gap) > 14 or cue.value == "single")):
            continue
        far = len(gap) + (200 if cue.value == "diffuse" else 0)
        if best is None or far < best[0]:
            best = far, Cue(a, b, cue.category, cue.value)
    if best is None:
        return None
    cue = best[1]
    return Number(1 if cue.value == "single" else None, cue.value, mark(cue.start, cue.end, "number"))


def sizes_of(text: str, start: int, end: int, others: Sequence[int], mark: Mark) -> tuple[Size, ...]:
    """Return the sizes that are nearer to this mention than to another one (``others``: their starts)."""
    out = []
    for match in _SIZE.finditer(text):
        if _OTHER.search(text[max(0, match.start() - 34) : match.start()]):
            continue
        gap = text[end : match.start()] if match.start() >= end else text[match.end() : start]
        if ";" in gap or len(gap) > 90 or re.search(r"\band (?:an?|the)\b|[,] (?:an?|the|and|no)\b", gap):
            continue
        near = min([start, *others], key=lambda place: _far(match, place))
        if near != start:
            continue
        scale = _UNIT[match["unit"] if match["unit"] in _UNIT else match["unit"][:2]]
        numbers = [float(n) * scale for n in re.findall(_NUM, match["nums"])]
        inner = re.findall(r"(mm|cm|毫米|厘米|公分)", match["nums"])
        if inner and _UNIT[inner[0]] != scale:
            continue
        numbers = [n for n in numbers if 0.2 <= n <= 400]
        if numbers:
            sign = (match["sign"] or "").strip()
            sign = (
                "<"
                if sign in ("<", "<=", "less than", "under", "below", "小于", "不足", "up to")
                else ">"
                if sign
                else ""
            )
            out.append(Size(tuple(sorted(numbers, reverse=True)), sign, mark(*match.span(), "size")))
    return tuple(out)


def _far(match: re.Match[str], place: int) -> int:
    return place - match.end() if place >= match.end() else 2 * (match.start() - place)


def density_of(text: str, start: int, end: int, mark: Mark) -> tuple[float, Words] | None:
    """Return the CT number said of the mention, in HU."""
    for match in _HU.finditer(text):
        if abs(match.start() - end) < 60 or abs(start - match.end()) < 60:
            values = [float(v) for v in (match[1], match[2]) if v]
            return max(values), mark(*match.span(), "density")
    return None


def sites_of(text: str, start: int, end: int, mark: Mark) -> tuple[Site, ...]:
    """Return segments and lobes told in the sentence, the nearest first."""
    found: list[tuple[int, Site]] = []
    for match in _SEGMENT.finditer(text):
        said = match["list"] or match["zh"]
        names = [_segment(s) for s in _ONE.findall(said)]
        if re.search(r"-|~|to|至", said) and len(names) == 2 and all(n.isdigit() for n in names):
            names = [str(n) for n in range(int(names[0]), int(names[1]) + 1)] or names
        found.append((_gap(match, start, end), Site(tuple(dict.fromkeys(names)), (), mark(*match.span(), "site"))))
    for cue in table("describe").find(text, ("lobe",)):
        if re.search(r"(?:肾|肺|脾|甲状腺|lung|kidney)[^,。;]{0,2}$", text[max(0, cue.start - 6) : cue.start]):
            continue
        far = start - cue.end if cue.end <= start else max(0, cue.start - end)
        found.append((far, Site((), (cue.value,), mark(cue.start, cue.end, "site"))))
    found = [(far, site) for far, site in found if far < 90]
    return tuple(site for _, site in sorted(found, key=lambda one: (one[0], one[1].words.start)))


def _gap(match: re.Match[str], start: int, end: int) -> int:
    return start - match.end() if match.end() <= start else max(0, match.start() - end)


def _segment(said: str) -> str:
    return _ROMAN.get(said, _CHINESE.get(said, said))


def described(text: str, start: int, end: int, category: str, reach: int, mark: Mark) -> tuple[tuple[str, Words], ...]:
    """Return the states of ``pattern`` or ``host`` that words within ``reach`` characters of the mention name."""
    low, high = max(0, start - reach), min(len(text), end + reach)
    out: dict[str, Words] = {}
    for cue in table("describe").find(text, (category,)):
        a, b = cue.start, cue.end
        if a < low or b > high:
            continue
        gap = text[b:start] if b <= start else text[end:a]
        if re.search(r"[;。]|,.*,|\bno\b|\bwithout\b|未见", gap):
            continue
        out.setdefault(cue.value, mark(a, b, category))
    return tuple(out.items())
