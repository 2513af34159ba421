"""Where the liver is: segmenters behind one protocol, mask files, contrast phase and Couinaud segments."""

from __future__ import annotations

from hepacalc.liver.couinaud import Landmark, LiverAnatomy, hilum_mm, liver_anatomy, lobe_of, segment_of
from hepacalc.liver.coverage import Coverage, liver_coverage
from hepacalc.liver.mask_file import read_liver_mask
from hepacalc.liver.phase import VesselReference, detect_phase, vessel_reference
from hepacalc.liver.segmenter import Segmenter, get_segmenter, segmenter_names
from hepacalc.liver.trust import liver_volume

__all__ = [
    "Coverage",
    "Landmark",
    "LiverAnatomy",
    "Segmenter",
    "VesselReference",
    "detect_phase",
    "get_segmenter",
    "hilum_mm",
    "liver_anatomy",
    "liver_coverage",
    "liver_volume",
    "lobe_of",
    "read_liver_mask",
    "segment_of",
    "segmenter_names",
    "vessel_reference",
]
