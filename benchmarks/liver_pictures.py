"""Pictures of the contour on every real scan that may be shown, worst first, for ``docs/reference/segmentation.md``.

    python benchmarks/liver_pictures.py docs/img

writes one small PNG a scan and prints the lines for the page. ``ct/ircadb-01`` is not among them: its licence forbids
to ship anything made from it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from liver_runs import dice, segmented
from warped import SCANS, Case, labelled_scan

PIXEL_MM = 1.6
HEIGHTS = (0.82, 0.55, 0.28)
OURS, THEIRS = (255, 70, 60), (70, 220, 90)
GREYS = 40
WINDOW_HU = (-110.0, 210.0)
CREDITS = {
    "acrin001": "TCIA ACRIN-FLT-Breast 001, CC BY 3.0",
    "acrin013": "TCIA ACRIN-FLT-Breast 013, CC BY 3.0",
    "cptac": "TCIA CPTAC-PDA C3L-00189, CC BY 4.0",
    "cmb": "TCIA CMB-CRC, CC BY 4.0",
    "ts": "TotalSegmentator example, Apache-2.0",
    "ts_slab": "TotalSegmentator DICOM example, Apache-2.0",
}
WORDS = {
    "acrin001": "without contrast medium, whole liver",
    "acrin013": "without contrast medium, dome only",
    "cptac": "portal venous, lung kernel, stent at the hilum",
    "cmb": "arterial, dome only",
    "ts": "without contrast medium, top cut off",
    "ts_slab": "portal venous, a slab of 4 cm",
}


def panel(hu: np.ndarray, ours: np.ndarray, theirs: np.ndarray, step_mm: tuple[float, float]) -> np.ndarray:
    """Return one plane at ``PIXEL_MM`` with both contours, rows downwards, as numbers of colours."""
    size = tuple(max(round(n * d / PIXEL_MM), 1) for n, d in zip(hu.shape, step_mm, strict=True))

    def sized(array: np.ndarray) -> np.ndarray:
        picture = Image.fromarray(array.astype(np.float32))
        return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))

    low, high = WINDOW_HU
    out = (np.clip((sized(hu) - low) / (high - low), 0, 1) * (GREYS - 1)).astype(np.uint8)
    for number, mask in enumerate((theirs, ours)):
        inside = sized(mask) > 0.5
        out[inside & ~ndimage.binary_erosion(inside)] = GREYS + number
    return out


def picture(case: Case, ours: np.ndarray) -> Image.Image:
    """Return three axial planes and a coronal one, cut to the liver and 25 mm about it."""
    both = case.liver | ours
    at = np.argwhere(both)
    spacing = np.array(case.volume.geometry.spacing_mm)
    margin = np.ceil(25 / spacing).astype(int)
    low, high = np.maximum(at.min(0) - margin, 0), np.minimum(at.max(0) + margin + 1, both.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    hu, mine, true = case.volume.hu[box], ours[box], case.liver[box]
    levels = np.flatnonzero((mine | true).any((1, 2)))
    planes = [levels[int(h * (len(levels) - 1))] for h in HEIGHTS]
    views = [panel(hu[k], mine[k], true[k], (spacing[1], spacing[2])) for k in planes]
    row = int(np.median(np.nonzero(mine | true)[1]))
    up = slice(None, None, -1)
    views.append(panel(hu[up, row], mine[up, row], true[up, row], (spacing[0], spacing[2])))
    tall = max(v.shape[0] for v in views)
    sheet = np.concatenate([np.pad(v, ((0, tall - v.shape[0]), (0, 4))) for v in views], axis=1)
    out = Image.fromarray(sheet, "P")
    out.putpalette([v for k in range(GREYS) for v in [round(255 * k / (GREYS - 1))] * 3] + [*THEIRS, *OURS])
    return out


def main() -> int:
    """Write the pictures; print the page's lines, worst first."""
    folder = Path(sys.argv[1])
    found = []
    for name in SCANS:
        case = labelled_scan(name)
        liver = segmented(case.volume)
        ours = getattr(liver, "mask", np.zeros(case.labels.shape, bool))
        picture(case, ours).save(folder / f"liver-{name}.png", optimize=True)
        found.append((dice(ours, case.liver), name, getattr(liver, "warnings", ())))
    for value, name, warnings in sorted(found):
        told = f" It said: {'; '.join(warnings)}." if warnings else ""
        print(f"\n**Dice {value:.3f}**: {WORDS[name]}.{told} {CREDITS[name]}.\n\n![{name}](../img/liver-{name}.png)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
