"""Patient files that several tests use."""

import datetime
from typing import Any

TODAY = datetime.date(2026, 1, 31)

FULL: dict[str, Any] = {
    "schema_version": "1.0", "assessed_on": "2026-01-31", "said_by": "patient", "reason": "incidental", "age": 57,
    "sex": "female", "pregnant": "no", "region": "x",
    "exposures": {
        "pasture": {"had": "yes", "since": 1985, "until": "1999-06", "from_age": 16, "to_age": 30, "place": "x"},
        "tuberculosis": True, "brucella": False, "cats_dogs": None, "others": "no",
    },
    "cancers": {"had": "yes", "known": [{"site": "colon", "year": 2019, "treated": "yes", "remission": "yes"}]},
    "conditions": {"diabetes": "yes", "cirrhosis": "no"},
    "treatments": {"cholecystectomy": {"had": "yes", "since": "2010"}},
    "symptoms": {"others": "no"},
    "laboratory": [
        {"name": "alt", "value": 53, "unit": "U/L", "upper_limit": 40, "date": "2026-01-20"},
        {"name": "alp", "value": 1.5, "unit": "ukat/L"},
        {"name": "calcium", "value": 2.4, "unit": "mmol/L", "upper_limit": 2.6, "lower_limit": 2.1},
        {"name": "ca19_9", "value": "<2", "unit": "U/mL"},
        {"name": "hbv_dna", "value": 3.2, "unit": "log10 copies/mL", "copies_per_iu": 3.41},
        {"name": "inflammation", "result": "normal"},
    ],
    "virus": {"hbsag": "positive", "anti_hcv": {"result": "negative", "date": 2025}},
    "serology": [
        {"test": "echinococcus", "result": "positive", "titre": "1:640"}, {"test": "igra", "result": "negative"},
    ],
    "examinations": [
        {
            "modality": "ultrasound", "date": "2026-01-25", "said_by": "report", "number": 1,
            "lesions": [
                {"id": "a", "host": "cyst", "morphology": ["rim", "curvilinear"], "size_mm": 45, "contour": "sharp"}
            ],
            "ducts": "normal", "liver": "normal", "spleen": "normal", "chest": ["cysts"],
            "abdomen": {"nodes": "no", "biliary_stones": "yes"},
        }
    ],
    "prior_examinations": [{"date": 2022, "modality": "ultrasound", "seen": "yes", "change": "stable"}],
    "old_images": "yes",
    "further": {"contrast_allergy": "no", "ancestry": "asian", "ce_stage": "ce4"},
    "overrule": [{"block": "lesion", "lesion": 1, "states": {"host": {"cyst": 1.0}, "morphology": {"rim": 1.0}}}],
}  # fmt: skip
