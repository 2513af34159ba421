"""Where the liver is: segmenters behind one protocol, mask files, contrast phase and Couinaud segments."""

from __future__ import annotations

from hepacalc.liver.segmenter import Segmenter, get_segmenter, segmenter_names

__all__ = ["Segmenter", "get_segmenter", "segmenter_names"]
