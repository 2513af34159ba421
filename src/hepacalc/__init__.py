"""Find calcification in the liver on CT, tell it from its mimics and measure it.

The whole walk, and what it writes::

    import hepacalc

    assessment = hepacalc.assess("ct-folder")
    hepacalc.write_outputs(assessment, "out")

Each stage by itself: :func:`open_study`, :func:`get_segmenter` or :func:`read_liver_mask`,
:func:`detect_phase`, :func:`assess_quality`, :func:`find_foci`, :func:`render_html`. A digital patient with
known truth: :func:`make_patient`, :func:`insert_foci`. Names are loaded when first used, so the import is quick.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hepacalc.assess import assess
    from hepacalc.errors import HepacalcError
    from hepacalc.foci.calibration import calibration_for
    from hepacalc.foci.find import find_foci
    from hepacalc.geometry import Geometry
    from hepacalc.liver import detect_phase, get_segmenter, read_liver_mask, segmenter_names
    from hepacalc.phantom import FocusSpec, insert_foci, make_patient
    from hepacalc.records import (
        Acquisition,
        Assessment,
        Burden,
        Calibration,
        Focus,
        Lesion,
        Liver,
        LiverMask,
        Measured,
        NotMeasured,
        Pattern,
        Phase,
        QualityFinding,
        Segment,
        SeriesChoice,
        Surroundings,
        Volume,
    )
    from hepacalc.report import load_schema, render_html, summary_text, write_outputs
    from hepacalc.study import open_study
    from hepacalc.study.calibration_file import read_calibration
    from hepacalc.study.quality import assess_quality

    __version__: str

__all__ = [
    "Acquisition",
    "Assessment",
    "Burden",
    "Calibration",
    "Focus",
    "FocusSpec",
    "Geometry",
    "HepacalcError",
    "Lesion",
    "Liver",
    "LiverMask",
    "Measured",
    "NotMeasured",
    "Pattern",
    "Phase",
    "QualityFinding",
    "Segment",
    "SeriesChoice",
    "Surroundings",
    "Volume",
    "__version__",
    "assess",
    "assess_quality",
    "calibration_for",
    "detect_phase",
    "find_foci",
    "get_segmenter",
    "insert_foci",
    "load_schema",
    "make_patient",
    "open_study",
    "read_calibration",
    "read_liver_mask",
    "render_html",
    "segmenter_names",
    "summary_text",
    "write_outputs",
]

_HOMES = {
    "assess": ("assess",),
    "errors": ("HepacalcError",),
    "foci.calibration": ("calibration_for",),
    "foci.find": ("find_foci",),
    "geometry": ("Geometry",),
    "liver": ("detect_phase", "get_segmenter", "read_liver_mask", "segmenter_names"),
    "phantom": ("FocusSpec", "insert_foci", "make_patient"),
    "report": ("load_schema", "render_html", "summary_text", "write_outputs"),
    "study": ("open_study",),
    "study.calibration_file": ("read_calibration",),
    "study.quality": ("assess_quality",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


class _Package(ModuleType):
    """Keeps the function :func:`assess` from being hidden by the module of the same name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("hepacalc")
    elif name in __all__:
        value = getattr(import_module(f"hepacalc.{_HOME_OF.get(name, 'records')}"), name)
    else:
        raise AttributeError(f"module 'hepacalc' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
