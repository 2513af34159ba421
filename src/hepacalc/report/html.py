"""The report as one self-contained HTML file: no script, nothing loaded from outside."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hepacalc.records import MEASUREMENTS, Assessment, Focus, Lesion, Measured, Measurement, NotMeasured, SeriesSummary
from hepacalc.report import phrases, words
from hepacalc.report.figures import Picture, lesion_pictures
from hepacalc.report.language import speaking, spoken
from hepacalc.report.livermap import MAP_WINDOW, liver_maps
from hepacalc.report.localise import localised
from hepacalc.report.marks import mark
from hepacalc.report.numbers import fixed, percent, significant
from hepacalc.report.reason_views import Probability, reason_view, reasoning_of
from hepacalc.report.reason_words import status_text
from hepacalc.report.scene import Scene
from hepacalc.report.schema import plain_text
from hepacalc.report.tables import Cell, cell

__all__ = ["MOST_MIMICS", "MOST_PICTURED", "page_environment", "render_html", "style"]

MOST_PICTURED = 40
"""Lesions that get pictures; the rest stand in the table only."""

MOST_MIMICS = 60
"""Mimics listed on the page; all are in ``foci.csv``."""

HTML_LANG = {"en": "en", "zh": "zh-Hans"}
_MOST_FOCI = 12
_MOST_FINE = 10
_LEAST_BAR = 0.02


class LesionView(NamedTuple):
    """One lesion as the template needs it."""

    lesion: Lesion
    name: str
    path: str
    mass: Cell
    volume: Cell
    extent: Cell
    peak: Cell
    segment: str
    lobe: str
    pattern: str
    foci: tuple[FocusView, ...]
    foci_total: int
    mistaken: tuple[str, ...]
    reasons: tuple[str, ...]
    pictures: tuple[tuple[Picture, ...], ...]


class FocusView(NamedTuple):
    """One focus as the template needs it."""

    focus: Focus
    path: str
    cells: dict[str, Cell]


def render_html(assessment: Assessment, *, language: str = "en") -> str:
    """Return the report of an assessment as HTML text (UTF-8); the same assessment gives the same text.

    Every measured number stands in an element with ``data-path`` (JSON pointer into ``assessment.json``) and
    ``data-value`` (the number there).

    Args:
        assessment: what to show.
        language: ``en`` or ``zh``.

    Raises:
        UsageError: another language.
    """
    with speaking(language):
        return _page(localised(assessment))


def _page(assessment: Assessment) -> str:
    scene = Scene.of(assessment)
    fine = min(len(assessment.lesions), MOST_PICTURED) <= _MOST_FINE
    lesions = [
        _lesion_view(
            assessment,
            k,
            lesion_pictures(assessment, scene, lesion, fine=fine) if k < MOST_PICTURED else (),
        )
        for k, lesion in enumerate(assessment.lesions)
    ]
    mimics = [_focus_view(f, k) for k, f in enumerate(assessment.foci) if f.lesion is None]
    levels: list[str] = [q.level for q in assessment.quality]
    reasoning = reasoning_of(assessment)
    page = page_environment().get_template("report.html.j2")
    return page.render(
        a=assessment,
        summary=words.summary(assessment),
        lesions=lesions,
        largest=_largest(lesions),
        mimics=mimics[:MOST_MIMICS],
        mimics_total=len(mimics),
        maps=liver_maps(assessment, scene),
        map_window=MAP_WINDOW,
        counts={level: levels.count(level) for level in phrases.LEVELS},
        quality=sorted(assessment.quality, key=lambda q: -list(phrases.LEVELS).index(q.level)),
        methods=_methods(assessment),
        footer=_footer(assessment),
        lang=HTML_LANG.get(spoken(), spoken()),
        reason=None if reasoning is None else reason_view(reasoning, assessment.run.created[:10]),
        css=style("tokens.css", "report.css", *(() if reasoning is None else ("reason.css",))),
    )


def style(*names: str) -> Markup:
    """Return style sheets of the templates as one text; those of a page begin with ``tokens.css``, its colours."""
    folder = resources.files("hepacalc.report") / "templates"
    return Markup("".join((folder / name).read_text("utf-8") for name in names))


@cache
def page_environment() -> Environment:
    """Return the templates with what they may call; every page of ours is made with it."""
    environment = Environment(
        loader=PackageLoader("hepacalc.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        t=words.text,
        plural=words.plural,
        cell=cell,
        mark=mark,
        level_text=words.level_text,
        measurement_name=words.measurement_name,
        phase_text=words.phase_text,
        MEASUREMENTS=MEASUREMENTS,
        kind_text=words.kind_text,
        certainty_text=words.certainty_text,
        segment_text=words.segment_text,
        lobe_text=words.lobe_text,
        kvp=_kvp,
        series=_series,
        status_text=status_text,
    )
    tests: dict[str, Callable[[Any], bool]] = {"unmeasured": lambda value: isinstance(value, NotMeasured)}
    environment.tests.update(tests)
    environment.filters.update(percent=percent, fixed=fixed, date=words.date_text, likely=_likely, six=significant)
    environment.filters.update(falling=_falling, spacings=_spacings, initial=_initial, sentence=_sentence)
    environment.filters.update(pointer=_pointer, named=_at)
    return environment


def _printable(value: Any) -> Any:
    """Take out of a text what no page can hold; markup of our own passes."""
    return plain_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _likely(probabilities: tuple[tuple[str, float], ...]) -> list[tuple[str, float]]:
    """Return the four likeliest of ``(name, probability)`` that are worth a bar."""
    return [pair for k, pair in enumerate(probabilities[:4]) if k == 0 or pair[1] >= _LEAST_BAR]


def _falling(probabilities: list[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(probabilities, key=lambda pair: -pair[1])


def _pointer(path: str, field: str) -> str:
    return f"{path}/{field}"


def _at(chance: Probability, field: str) -> Probability:
    """Return a probability whose pointer names the number itself."""
    return chance._replace(path=_pointer(chance.path, field))


def _initial(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _sentence(words: str) -> str:
    """Return a text with a capital and one full stop."""
    stop = mark("stop")
    return f"{_initial(words).rstrip(stop)}{stop}"


def _spacings(spacing_mm: tuple[float, float, float]) -> str:
    return " x ".join(fixed(s, 2) for s in spacing_mm)


def _kvp(kvp: float | None) -> str:
    return words.text("kvp.unknown") if kvp is None else words.text("kvp", kvp=fixed(kvp, 0))


def _series(series: SeriesSummary) -> str:
    """Return a series in words: description, modality, images, score."""
    score = series.score
    fitness = words.text("series.unfit") if score is None else words.text("series.score", score=f"{score:.3g}")
    described = series.description or series.series_instance_uid
    images = words.plural(series.instances, "series.instances")
    return mark("comma").join(part for part in (described, series.modality, images, fitness) if part)


def _focus_view(focus: Focus, index: int) -> FocusView:
    path = f"/foci/{index}"
    cells = {
        name: cell(focus.measurements[name], f"{path}/measurements/{name}")
        for name in MEASUREMENTS
        if name in focus.measurements
    }
    return FocusView(focus, path, cells)


def _lesion_view(assessment: Assessment, index: int, pictures: tuple[tuple[Picture, ...], ...]) -> LesionView:
    lesion = assessment.lesions[index]
    path = f"/lesions/{index}"
    own = [_focus_view(f, k) for k, f in enumerate(assessment.foci) if f.id in lesion.focus_ids]
    own.sort(key=lambda view: (-_number(view.focus.measurements.get("mass_mg")), view.focus.id))
    peaks = [v.cells["max_hu"] for v in own if "max_hu" in v.cells]
    nothing = Cell("", "", "", "", "", (), "", "")
    segment = "" if isinstance(lesion.segment, NotMeasured) else lesion.segment.dominant
    # what it might be mistaken for has a place of its own on the page
    before = words.text("mistaken.before").strip()
    reasons = [r for r in (*lesion.reasons, *(r for v in own[:3] for r in v.focus.reasons)) if before not in r]
    return LesionView(
        lesion=lesion,
        name=f"L{lesion.id}",
        path=path,
        mass=cell(lesion.mass_mg, f"{path}/mass_mg"),
        volume=cell(lesion.volume_mm3, f"{path}/volume_mm3"),
        extent=cell(lesion.extent_mm, f"{path}/extent_mm"),
        peak=max(peaks, key=lambda c: c.raw[:1], default=nothing),
        segment=words.segment_text(lesion.segment),
        lobe=words.lobe_text(segment),
        pattern="" if isinstance(lesion.pattern, NotMeasured) else lesion.pattern.dominant,
        foci=tuple(own[:_MOST_FOCI]),
        foci_total=len(own),
        mistaken=tuple(dict.fromkeys(m for v in own for m in v.focus.mimic)),
        reasons=tuple(dict.fromkeys(reasons)),
        pictures=pictures,
    )


def _largest(lesions: list[LesionView]) -> LesionView | None:
    """The lesion of the greatest extent among the calcifications, or among all when there are none."""
    named = [v for v in lesions if v.lesion.kind == "calcification"] or lesions
    measured = [v for v in named if v.extent.raw]
    return max(measured, key=lambda v: v.extent.raw[0], default=None)


def _number(measurement: Measurement | None) -> float:
    return measurement.value if isinstance(measurement, Measured) else float("-inf")


def _methods(assessment: Assessment) -> list[tuple[str, str]]:
    """How measurements were made: ``(names, method)``, once for each method."""
    found: dict[str, dict[str, None]] = {}
    for focus in assessment.foci:
        for name, measurement in focus.measurements.items():
            if isinstance(measurement, Measured):
                found.setdefault(measurement.method, {})[words.measurement_name(name)] = None
    return [(mark("list").join(names), method) for method, names in found.items()]


def _footer(assessment: Assessment) -> str:
    """Date and end of the UID of the study for the foot of each printed page; digits, dots and dashes only."""
    acquisition = assessment.acquisition
    date = words.date_text(acquisition.study_date or "")
    parts = (date, f"...{acquisition.study_instance_uid[-16:]}" if acquisition.study_instance_uid else "")
    return " ".join(part for part in parts if re.fullmatch(r"[0-9.-]+", part))
