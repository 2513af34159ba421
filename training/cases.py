"""The scans that the network learns from, their licences, and which organs their labels leave out."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CASES", "LABELS", "OTHER", "Case"]

LABELS = (
    "outside", "liver", "spleen", "kidney", "gallbladder", "stomach", "pancreas", "heart", "vessels", "bowel",
    "lung", "bone", "fat", "other", "gas",
)  # fmt: skip
OTHER = LABELS.index("other")
_PSEUDO = ("kidney", "gallbladder", "pancreas", "vessels", "bowel")


@dataclass(frozen=True, slots=True)
class Case:
    """One scan for training.

    Args:
        name: also the folder of its labels.
        scan: CT, relative to the folder of the shared data.
        weight: how often it is drawn.
        missing: organs that may hide in the label ``other``, since nobody marked them (everywhere).
        licence: of the scan.
        chest: whether the middle of the chest is to be marked as heart by rule, since no label has it.
    """

    name: str
    scan: str
    weight: float
    missing: tuple[str, ...]
    licence: str
    chest: bool

    @property
    def labels(self) -> str:
        """Label map, relative to the folder of the shared data."""
        return f"liver-train/{self.name}/labels.nii.gz"


CASES = (
    Case("acrin001", "ct/acrin-flt-001", 0.24, _PSEUDO, "TCIA ACRIN-FLT-Breast 001, CC BY 3.0", True),
    Case("cptac", "ct/cptac-c3l-00189", 0.22, _PSEUDO, "TCIA CPTAC-PDA C3L-00189, CC BY 4.0", True),
    Case("ts", "ct/totalsegmentator/example_ct.nii.gz", 0.20, (), "TotalSegmentator example, Apache-2.0", False),
    Case("acrin013", "liver-train/acrin013/ct.nii.gz", 0.09, _PSEUDO, "TCIA ACRIN-FLT-Breast 013, CC BY 3.0", True),
    Case("cmb", "liver-train/cmb/ct.nii.gz", 0.07, _PSEUDO, "TCIA CMB-CRC, CC BY 4.0", True),
    Case("ts_slab", "ct/totalsegmentator/example_ct_dicom", 0.06, (), "TotalSegmentator example, Apache-2.0", False),
)
"""Weights of the recipe in liver-network.md; the rest, 0.12, goes to digital patients."""
