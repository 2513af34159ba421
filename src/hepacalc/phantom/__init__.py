"""A digital patient with known truth, and insertion of known foci into real scans.

>>> from hepacalc.phantom import FocusSpec, make_patient
>>> phantom = make_patient(1, foci=[FocusSpec("nodular solid", 8, delta_hu=500)], spacing_mm=(5, 1.6, 1.6))
>>> phantom.truth.foci[0].pattern
'nodular solid'
"""

from hepacalc.phantom.foci import random_specs
from hepacalc.phantom.mimics import MIMICS
from hepacalc.phantom.patient import Phantom, Scene, default_foci, draw_scene, make_patient, scan
from hepacalc.phantom.patterns import SIZES_MM, build_shape
from hepacalc.phantom.truth import FocusSpec, FocusTruth, MimicTruth, Truth

__all__ = [
    "MIMICS",
    "SIZES_MM",
    "FocusSpec",
    "FocusTruth",
    "MimicTruth",
    "Phantom",
    "Scene",
    "Truth",
    "build_shape",
    "default_foci",
    "draw_scene",
    "make_patient",
    "random_specs",
    "scan",
]
