"""FHIR: bundles of 200 varied patients, judged by two validators that know nothing of us, and by their references."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections import Counter
from typing import Any

import fhirkit
from pyfhircheck.core.engine import Validator

from hepacalc.interop.fhir import fhir_bundle
from interop_patients import varied
from matching import row

PATIENTS = 200
SEED = 20261126


def rows(count: int = PATIENTS, seed: int = SEED) -> list[dict[str, Any]]:
    """Return how many bundles are valid, how many references resolve, and what a bundle costs."""
    validator = Validator()
    valid = Counter({"fhirkit-rs": 0, "pyfhircheck": 0, "resolved": 0})
    kinds: Counter[str] = Counter()
    references, lost, sizes, seconds = 0, 0, [], []
    for k, assessment in enumerate(varied(count, seed)):
        start = time.process_time()
        bundle = fhir_bundle(assessment, language=("en", "zh")[k % 2])
        seconds.append(time.process_time() - start)
        bundle = json.loads(json.dumps(bundle))
        sizes.append(len(json.dumps(bundle, separators=(",", ":"))))
        kinds.update(entry["resource"]["resourceType"] for entry in bundle["entry"])
        valid["fhirkit-rs"] += not fhirkit.validate(bundle)
        valid["pyfhircheck"] += not validator.validate_resource(bundle).issues
        found, missing = _references(bundle)
        references, lost = references + found, lost + missing
        valid["resolved"] += not missing
    title = f"FHIR bundles of {count} phantom patients"
    out = [
        row(f"{title}: without a word from {name}", valid[name], "bundles", f"= {count}", valid[name] == count)
        for name in ("fhirkit-rs", "pyfhircheck")
    ]
    out.append(row(f"{title}: every reference resolves", valid["resolved"], "bundles", f"= {count}", not lost))
    out.append(row(f"{title}: references that resolve", references - lost, "references", f"= {references}", not lost))
    out.append(row(f"{title}: resources", sum(kinds.values()), "resources", "", None))
    out.append(row(f"{title}: kinds of resources", len(kinds), "kinds", "", None))
    out.append(row(f"{title}: size, median", round(statistics.median(sizes) / 1e3), "kB", "", None))
    out.append(row(f"{title}: CPU time, median", round(statistics.median(seconds), 3), "s", "", None))
    return out


def _references(bundle: dict[str, Any]) -> tuple[int, int]:
    """Count the references of a bundle, and those that lead to no entry of the type they name."""
    kinds = {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in bundle["entry"]}
    found = missing = 0
    waiting: list[Any] = [bundle]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if isinstance(one.get("reference"), str):
                found += 1
                missing += kinds.get(one["reference"]) != one.get("type")
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found, missing


if __name__ == "__main__":
    for line in rows():
        sys.stdout.write(json.dumps(line) + "\n")
