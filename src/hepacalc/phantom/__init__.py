"""A digital patient with known truth, and insertion of known foci into real scans.

>>> from hepacalc.phantom import FocusSpec, make_patient
>>> phantom = make_patient(1, foci=[FocusSpec("nodular solid", 8, delta_hu=500)], spacing_mm=(10, 2, 2))
>>> phantom.truth.foci[0].pattern
'nodular solid'
"""

from hepacalc.foci.skin_edges import PsfEstimate, estimate_psf
from hepacalc.phantom.bodies import BODIES, make_body
from hepacalc.phantom.foci import random_specs
from hepacalc.phantom.insert import Insertion, insert_foci
from hepacalc.phantom.mimics import MIMICS
from hepacalc.phantom.patient import DEFAULT_MIMICS, Phantom, Scene, default_foci, draw_scene, make_patient, scan
from hepacalc.phantom.patterns import SIZES_MM, build_shape
from hepacalc.phantom.truth import FocusSpec, FocusTruth, MimicTruth, Truth
from hepacalc.phantom.write import generate, write_dicom_series, write_nifti, write_truth

__all__ = [
    "BODIES",
    "DEFAULT_MIMICS",
    "MIMICS",
    "SIZES_MM",
    "FocusSpec",
    "FocusTruth",
    "Insertion",
    "MimicTruth",
    "Phantom",
    "PsfEstimate",
    "Scene",
    "Truth",
    "build_shape",
    "default_foci",
    "draw_scene",
    "estimate_psf",
    "generate",
    "insert_foci",
    "make_body",
    "make_patient",
    "random_specs",
    "scan",
    "write_dicom_series",
    "write_nifti",
    "write_truth",
]
