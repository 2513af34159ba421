"""One assessment as rows of the tables. What was not measured is NULL, and its reason stands beside it; never 0."""

from __future__ import annotations

import json
from typing import Any

from hepacalc.records import MEASUREMENTS

__all__ = ["INTERVALS", "KEPT_CAUSES", "Rows", "rows_of"]

Rows = dict[str, list[dict[str, Any]]]
"""Name of the table -> its rows, without the key of the study."""

KEPT_CAUSES = 10
"""Causes of each differential that the tables hold, most probable first; the stored assessment has them all."""
INTERVALS = ("volume_mm3", "mass_mg", "diameter_mm")
"""Measurements of a focus whose interval the tables hold."""
_LEVELS = ("ok", "note", "warning", "severe")


def rows_of(doc: dict[str, Any]) -> Rows:
    """Return the rows of a study from its document (``assessment.json``)."""
    told = doc.get("reasoning")
    rows: Rows = {
        "studies": [_study(doc)],
        "foci": [_focus(one) for one in doc["foci"]],
        "lesions": [_lesion(one) for one in doc["lesions"]],
    }
    if told is not None:
        rows["findings"] = [_finding(one) for one in told["findings"]]
        rows["differential"] = _causes(None, told["differential"])
        for lesion in told["lesions"]:
            rows["differential"] += _causes(lesion["lesion"], lesion["differential"])
        rows["plans"] = _plan(told["plan"])
    return rows


class _Numbers:
    """Takes measurements apart into columns, and keeps the reasons of those that are none."""

    def __init__(self) -> None:
        self.columns: dict[str, float | None] = {}
        self._reasons: dict[str, str] = {}

    def take(self, name: str, number: dict[str, Any] | None, *, interval: bool = False) -> None:
        held = number or {}
        self.columns[name] = held.get("value")
        if interval:
            self.columns[f"{name}_low"], self.columns[f"{name}_high"] = held.get("low"), held.get("high")
        if "value" not in held:
            self._reasons[name] = held.get("reason", "not recorded")

    @property
    def reasons(self) -> str | None:
        return json.dumps(self._reasons, ensure_ascii=False, sort_keys=True) if self._reasons else None


def _study(doc: dict[str, Any]) -> dict[str, Any]:
    scan, liver, burden, phase = doc["acquisition"], doc["liver"], doc["burden"], doc["phase"]
    date = scan["study_date"] or ""
    numbers = _Numbers()
    numbers.take("liver_ml", liver["volume_ml"], interval=True)
    numbers.take("parenchyma_hu", liver["parenchyma_hu"])
    numbers.take("noise_hu", liver["noise_hu"])
    numbers.take("total_mass_mg", burden["total_mass_mg"], interval=True)
    numbers.take("total_volume_mm3", burden["total_volume_mm3"], interval=True)
    numbers.take("smallest_trusted_mm", burden["smallest_trusted_mm"])
    levels = [one["level"] for one in doc["quality"]]
    spacing = doc["geometry"]["spacing_zyx_mm"]
    told = doc.get("reasoning") or {}
    return {
        "series_uid": scan["series_instance_uid"],
        "year": int(date[:4]) if date[:4].isdigit() else None,
        "manufacturer": scan["manufacturer"],
        "model": scan["manufacturer_model_name"],
        "kvp": scan["kvp"],
        "kernel": scan["convolution_kernel"],
        "slice_thickness_mm": scan["slice_thickness_mm"],
        "spacing_z_mm": spacing[0],
        "pixel_mm": max(spacing[1:]),
        "phase": phase["name"],
        "phase_probability": phase["probability"],
        "is_contrast": phase["is_contrast"],
        "liver_method": liver["method"],
        "liver_confidence": liver["confidence"],
        "liver_is_complete": liver["is_complete"],
        "calcifications": burden["calcifications"],
        "certain": burden["certain"],
        "indeterminate": burden["indeterminate"],
        "mimics": burden["mimics"],
        **numbers.columns,
        "not_measured": numbers.reasons,
        "worst_quality": max(levels, key=_LEVELS.index, default=None),
        "quality_codes": [f"{one['code']}:{one['level']}" for one in doc["quality"] if one["level"] != "ok"],
        "limits": len(doc["limits"]),
        "red_flags": len(told["plan"]["flags"]) if told else None,
        "hepacalc_version": doc["run"]["hepacalc_version"],
    }


def _focus(one: dict[str, Any]) -> dict[str, Any]:
    numbers = _Numbers()
    for name in MEASUREMENTS:
        numbers.take(name, one["measurements"].get(name), interval=name in INTERVALS)
    return {
        "focus_id": one["id"],
        "lesion_id": one["lesion"],
        "kind": one["kind"],
        "certainty": one["certainty"],
        "score": one["score"],
        "mimic": one["mimic"][0] if one["mimic"] else None,
        **_place(one),
        **numbers.columns,
        "not_measured": numbers.reasons,
    }


def _lesion(one: dict[str, Any]) -> dict[str, Any]:
    numbers = _Numbers()
    for name in ("volume_mm3", "mass_mg", "extent_mm"):
        numbers.take(name, one[name], interval=True)
    return {
        "lesion_id": one["id"],
        "foci": len(one["focus_ids"]),
        "kind": one["kind"],
        "certainty": one["certainty"],
        **_place(one),
        **numbers.columns,
        "not_measured": numbers.reasons,
    }


def _place(one: dict[str, Any]) -> dict[str, Any]:
    """Where it lies, what shape it has, what is around it."""
    around = one["surroundings"]
    x, y, z = one["centroid_mm"]
    return {
        "x_mm": x,
        "y_mm": y,
        "z_mm": z,
        **_likeliest("pattern", one["pattern"]),
        **_likeliest("segment", one["segment"]),
        **{f"around_{name}": around.get(name) for name in ("parenchyma", "fluid", "soft_tissue_mass")},
    }


def _likeliest(name: str, held: dict[str, Any]) -> dict[str, Any]:
    found = held.get("probabilities")
    best = max(found, key=found.get) if found else None
    return {name: best, f"{name}_probability": found[best] if found else None}


def _finding(one: dict[str, Any]) -> dict[str, Any]:
    weights = json.dumps(one["weights"], sort_keys=True)
    return {
        "lesion_id": one["lesion"],
        "block": one["block"],
        "states": weights,
        "said": one["text"],
        "said_by": one["by"],
        "overruled": one["overruled"],
    }


def _causes(lesion: int | None, held: dict[str, Any]) -> list[dict[str, Any]]:
    ranked = [("cause", one["cause"], one) for one in held["causes"][:KEPT_CAUSES]]
    ranked += [("harm", one["harm"], one) for one in held["harms"]]
    return [
        {"lesion_id": lesion, "what": what, "rank": rank, "name": name, "probability": one["probability"],
         "low": one["low"], "high": one["high"], "harm": one["harm"], "setting": held["setting"]}
        for rank, (what, name, one) in enumerate(ranked, 1)
    ]  # fmt: skip


def _plan(held: dict[str, Any]) -> list[dict[str, Any]]:
    nothing = dict.fromkeys(("rule", "modality", "due_in", "due_from", "due_to", "status"))
    rows: list[dict[str, Any]] = [
        nothing
        | {
            "what": "flag",
            "rule": one["flag"],
            "urgency": one["urgency"],
            "said": one["text"].get("en"),
            "status": one["status"],
        }
        for one in held["flags"]
    ]
    for one in held["items"]:
        due = one["due"] or (None, None)
        rows.append(
            {
                "what": "item",
                "rule": one["rule"],
                "urgency": one["urgency"],
                "said": one["action"].get("en"),
                "modality": one["modality"].get("en"),
                "due_in": one["interval"].get("en"),
                "due_from": due[0],
                "due_to": due[1],
                "status": one["status"],
            }
        )
    if held["stop"]:
        rows.append(nothing | {"what": "stop", "urgency": "none", "said": held["stop"].get("en")})
    return rows
