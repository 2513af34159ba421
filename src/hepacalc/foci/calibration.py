"""From HU above background to mg of calcium hydroxyapatite, by tube voltage.

The slope at 120 kV is the figure of the project's measuring design (0.80 mg/mL per HU). The others follow from
published ratios of calcium attenuation to 120 kV: 0.88 at 100 kV and 0.63 at 70 kV ("Coronary artery calcium
scoring at lower tube voltages", 2021, abstract read); 80, 90, 110 and 130 kV are interpolated and 140 kV is
extrapolated between them, which is a working estimate. A site that has scanned a calibration phantom should use its own
line.
"""

from __future__ import annotations

import numpy as np

from hepacalc.records import Calibration

__all__ = ["DEFAULT_KVP", "TABLE", "calibration_for"]

TABLE: dict[int, float] = {
    70: 0.504, 80: 0.576, 90: 0.643, 100: 0.704, 110: 0.754, 120: 0.800, 130: 0.843, 140: 0.880, 150: 0.913,
}  # fmt: skip
"""Slope in mg/mL per HU for each tube voltage in kV."""

TABLE_SD = 0.03
"""Relative standard deviation of a scanner's own slope around the table (working estimate)."""

DEFAULT_KVP = 120.0
UNKNOWN_KVP_SD = 0.08
"""Relative standard deviation when the scan does not say its tube voltage: 100 to 140 kV are about +- 12 %."""


def calibration_for(kvp: float | None) -> Calibration:
    """Return the table's calibration line for a tube voltage.

    Args:
        kvp: tube voltage in kV (DICOM KVP); None when the scan does not say.

    Returns:
        The slope, linearly interpolated; with a wider uncertainty outside 70-150 kV or when ``kvp`` is unknown.
    """
    if kvp is None:
        return Calibration(
            None,
            TABLE[int(DEFAULT_KVP)],
            UNKNOWN_KVP_SD,
            "table by kVp; tube voltage not stated, 120 kV assumed with a wider interval",
        )
    voltages = np.array(sorted(TABLE), float)
    slopes = np.array([TABLE[int(v)] for v in voltages])
    slope = float(np.interp(kvp, voltages, slopes))
    if voltages[0] <= kvp <= voltages[-1]:
        return Calibration(kvp, slope, TABLE_SD, f"table by kVp, {kvp:g} kV")
    return Calibration(
        kvp, slope, 2 * UNKNOWN_KVP_SD, f"table by kVp, {kvp:g} kV lies outside it, nearest line with a wider interval"
    )
