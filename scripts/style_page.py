"""Print ``docs/reference/style.md``: type, colours, numbers and words that all pages share; contrast and colour
blindness reckoned from ``tokens.css``: ``python scripts/style_page.py > PAGE``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from hepacalc.records import Certainty, Kind, Level, Measured
from hepacalc.report.language import speaking
from hepacalc.report.numbers import percent, shown
from hepacalc.report.reason_words import harm_text, urgency_text
from hepacalc.report.words import certainty_text, date_text, kind_text, level_text

TOKENS = Path(__file__).resolve().parents[1] / "src" / "hepacalc" / "report" / "templates" / "tokens.css"
CONTRAST = 4.5
"""Least contrast of text against its ground (WCAG 2.2, 1.4.3)."""
DISTANCE = 10.0
"""Least distance of colours side by side that mean different things, in CIE 1976 L*a*b* units; a working value of ours,
some four times a just noticeable difference."""

USES = {
    "ink": "text",
    "soft": "second text: units, intervals, captions",
    "line": "rules between rows",
    "pale": "ground of a quiet box",
    "paper": "ground",
    "blue": "headings, links, what is certain, what is routine",
    "warn": "what limits the answer; soon; dangerous",
    "warn-ground": "ground of it",
    "severe": "red flags; urgent; malignant; nothing could be judged",
    "severe-ground": "ground of it",
    "track": "empty part of a bar",
    "fill-benign": "bar of a benign cause",
    "fill-watch": "bar of a cause to be watched",
    "fill-dangerous": "bar of a dangerous cause",
    "fill-malignant": "bar of a malignant cause",
    "picture": "ground of CT pictures",
    "on-picture": "letters and scale on pictures",
    "outline-liver": "outline of the liver",
    "outline-focus": "outline of a calcification",
    "outline-other": "outline of a mimic, dashed",
}
TEXTS = (
    ("ink", "paper"), ("ink", "pale"), ("soft", "paper"), ("soft", "pale"), ("blue", "paper"), ("blue", "pale"),
    ("paper", "blue"), ("warn", "paper"), ("warn", "warn-ground"), ("paper", "warn"), ("ink", "warn-ground"),
    ("soft", "warn-ground"), ("severe", "paper"), ("severe", "severe-ground"), ("paper", "severe"),
    ("ink", "severe-ground"), ("soft", "severe-ground"),
    ("on-picture", "picture"), ("picture", "outline-focus"), ("picture", "outline-other"),
)  # fmt: skip
"""Text and the ground that it stands on."""
APART = (
    (("outline-liver", "outline-focus", "outline-other"), "a mimic is dashed and has another letter"),
    (
        ("fill-benign", "fill-watch", "fill-dangerous", "fill-malignant"),
        "each bar has the word and the number beside it",
    ),
    (("ink", "blue", "warn", "severe"), "the word is written out"),
)
"""Colours that stand side by side and mean different things, and what says the same without colour."""

# Machado, Oliveira and Fernandes 2009, IEEE Trans Vis Comput Graph 15:1291, severity 1.0; on linear RGB
DEFICIENCIES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
# IEC 61966-2-1, linear sRGB to XYZ of D65
XYZ = np.array(((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)))

HEAD = """# Style

Report, answer without a scan, PDF, sheet for the patient, web app, cohort page and this site take their colours and
type from one file, `report/templates/tokens.css`. This page is made from it by `scripts/style_page.py`; a test fails
when a pair below misses its mark, a template has a colour of its own, or a page does not begin with that file.

## Together

![First screens of report, sheet, web app, cohort page and this site](../img/style.png)

Report and sheet of a digital patient, the web app, the page of a cohort of two, this site; made by
`scripts/style_pictures`.

## Type

<p style="font-family: {sans}; font-size: 1.4rem; margin: 0">Calcification in the liver 肝内钙化 0123456789</p>

`--sans` for everything; the reader's own font, nothing is loaded. The PDF carries one font, Chinese included.

<p style="font-family: {mono}; margin: 0">1.2.840.113619.2.55.3</p>

`--mono` for identifiers. The sheet for the patient is set larger, 17 px against 15.

## Colours

| | token | value | used for |
|---|---|---|---|
"""


def tokens() -> dict[str, str]:
    """The values of ``tokens.css`` by name."""
    return dict(re.findall(r"--([a-z-]+): ([^;]+);", TOKENS.read_text("utf-8")))


def linear(colour: str) -> NDArray[np.float64]:
    """Linear RGB, 0 to 1, shape (3,), of ``#rgb`` or ``#rrggbb``."""
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    coded = np.array([int(digits[k : k + 2], 16) for k in (0, 2, 4)]) / 255
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21 (WCAG 2.2)."""
    dark, light = sorted(float(XYZ[1] @ linear(colour)) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def lab(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE 1976 L*a*b* of linear RGB, white D65."""
    ratio = XYZ @ np.clip(colour, 0, 1) / XYZ.sum(axis=1)
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array((116 * y - 16, 500 * (x - y), 200 * (y - z)))


def distances(one: str, other: str) -> dict[str, float]:
    """Distance of two colours for usual colour vision and for each deficiency."""
    seen = {"usual": np.eye(3), **{name: np.array(matrix) for name, matrix in DEFICIENCIES.items()}}
    return {
        name: float(np.linalg.norm(lab(matrix @ linear(one)) - lab(matrix @ linear(other))))
        for name, matrix in seen.items()
    }


def page() -> str:
    """The page as Markdown."""
    held = tokens()
    quoted = {name: held[name].replace('"', "'") for name in ("sans", "mono")}
    parts = [HEAD.format(**quoted)]
    for name, use in USES.items():
        swatch = f'<span style="background: {held[name]}; border: 1px solid {held["soft"]}">&emsp;&emsp;</span>'
        parts.append(f"| {swatch} | `--{name}` | `{held[name]}` | {use} |\n")
    parts.append(
        f"\n## Contrast of text\n\nAt least {CONTRAST} (WCAG 2.2, 1.4.3).\n\n| text | on | contrast |\n|---|---|---|\n"
    )
    parts += [f"| `{text}` | `{ground}` | {contrast(held[text], held[ground]):.1f} |\n" for text, ground in TEXTS]
    parts.append(
        "\nBars and rules are not text. Against paper the bars have a contrast of "
        + ", ".join(f"{contrast(held[name], held['paper']):.1f} (`{name}`)" for name in APART[1][0])
        + ". WCAG asks 3 of graphics that alone carry a meaning; here word and number stand beside them.\n"
    )
    parts.append(
        f"\n## Colour blindness\n\nDistance of colours that stand side by side, in CIE 1976 L\\*a\\*b\\* units, as "
        f"people with each deficiency see them (Machado and others 2009, IEEE Trans Vis Comput Graph 15:1291, complete "
        f"deficiency). At least {DISTANCE:g}, a working value of ours. No meaning is told by colour alone.\n\n"
        f"| colours | {' | '.join(distances('#000', '#fff'))} | told without colour |\n|---|---|---|---|---|---|\n"
    )
    for names, also in APART:
        for k, one in enumerate(names):
            for other in names[k + 1 :]:
                cells = " | ".join(f"{far:.0f}" for far in distances(held[one], held[other]).values())
                parts.append(f"| `{one}`, `{other}` | {cells} | {also} |\n")
    parts += ["\n## Numbers and dates\n\n| rule | English | Chinese |\n|---|---|---|\n", *_numbers()]
    parts += [
        "\n## Words\n\nOne word for one thing, in every output.\n\n| for | English | Chinese |\n|---|---|---|\n",
        *_words(),
    ]
    return "".join(parts)


def _both(say: object, *arguments: object) -> tuple[str, str]:
    told = []
    for language in ("en", "zh"):
        with speaking(language):
            told.append(str(say(*arguments)))  # type: ignore[operator]
    return told[0], told[1]


def _numbers() -> list[str]:
    mass = Measured(12.3456, "mg", 10.8712, 13.8201, "made up")
    size = Measured(31234.0, "mm3", 29876.0, 32592.0, "made up")

    def digits(number: Measured) -> str:
        value, low, high, unit = shown(number)
        return f"{value} {unit} ({low} – {high})"

    rows = [
        ("as many digits as the interval allows, then the interval", _both(digits, mass)),
        ("a thin gap between thousands, no comma", _both(digits, size)),
        ("whole percent", _both(percent, 0.834)),
        ("never rounded to nothing", _both(percent, 0.0004)),
        ("dates from year to day", _both(date_text, "20261126")),
        ("time with its zone", _both(date_text, "2026-11-26T10:42:00+00:00")),
    ]
    return [f"| {rule} | {english} | {chinese} |\n" for rule, (english, chinese) in rows]


def _words() -> list[str]:
    rows = [("kind", kind, kind_text) for kind in get_args(Kind)]
    rows += [("certainty", certainty, certainty_text) for certainty in get_args(Certainty)]
    rows += [("harm", harm, harm_text) for harm in ("benign", "watch", "dangerous", "malignant")]
    rows += [("urgency", urgency, urgency_text) for urgency in ("emergency", "urgent", "soon", "routine", "none")]
    rows += [("level of a check", level, level_text) for level in get_args(Level)]
    return [f"| {what} `{key}` | {' | '.join(_both(say, key))} |\n" for what, key, say in rows]


if __name__ == "__main__":
    sys.stdout.write(page())
