"""Which question of the patient file speaks about which state of the knowledge's vocabulary.

A state that several questions speak about (``history/trauma``: injury, bleeding, anticoagulants) is had when one of
them is answered yes, not had when all of them are answered no, and not known in every other case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["NONE_STATES", "QUESTIONS", "SEROLOGY", "SITES", "SerologyTest"]

NONE_STATES: Mapping[str, str] = {
    "exposure": "none",
    "history": "none",
    "symptoms": "none",
    "primary": "none",
    "serology": "negative",
    "markers": "normal",
    "spleen": "normal",
    "chest": "normal",
    "abdomen": "normal",
    "fetal_anomalies": "none",
}
"""Blocks whose states can be true together, and the state that says that none of the others is."""

QUESTIONS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "exposure": {
        name: (f"exposures.{name}",)
        for name in (
            "pasture", "alveolar_area", "schistosome_water", "tuberculosis", "histoplasma_area", "brucella",
            "reptile_meat", "pork_tapeworm", "fluke_plants", "stone_area", "cats_dogs", "amoeba_area", "guinea_worm",
            "thorotrast", "industrial",
        )
    },
    "history": {
        "abscess": ("conditions.liver_abscess",),
        "trauma": ("conditions.liver_injury", "conditions.liver_bleeding", "treatments.anticoagulants"),
        "shock": ("conditions.shock", "conditions.intensive_care", "treatments.organ_transplant"),
        "renal_failure": ("conditions.renal_failure", "treatments.dialysis"),
        "liver_procedure": (
            "treatments.liver_surgery", "treatments.ablation", "treatments.embolisation", "treatments.stent",
        ),
        "cholecystectomy": ("treatments.cholecystectomy",),
        "biliary_disease": (
            "conditions.cholangitis", "conditions.primary_sclerosing_cholangitis", "treatments.biliary_surgery",
        ),
        "chemotherapy": ("treatments.chemotherapy", "treatments.radiotherapy"),
        "dense_liver_drug": (
            "treatments.amiodarone", "treatments.gold", "treatments.transfusions", "conditions.iron_overload",
        ),
        "immunodeficiency": ("conditions.hiv", "conditions.neutropenia", "treatments.immunosuppressants"),
        "granulocyte_disease": ("conditions.granulocyte_disease",),
        "hormones": ("treatments.contraceptive_pill", "treatments.androgens", "conditions.glycogen_storage"),
        "portal_hypertension": ("conditions.portal_hypertension", "conditions.portal_vein_thrombosis"),
        "vascular_disease": ("conditions.atherosclerosis", "conditions.diabetes", "conditions.vasculitis"),
    },
    "symptoms": {
        "pain_or_mass": ("symptoms.pain", "symptoms.mass"),
        "constitutional": ("symptoms.fever", "symptoms.sweats", "symptoms.weight_loss"),
        "jaundice": ("symptoms.jaundice",),
        "portal": ("symptoms.ascites", "symptoms.variceal_bleeding"),
        "hormonal": ("symptoms.diarrhoea", "symptoms.flushing", "symptoms.cushing"),
        "cough": ("symptoms.cough", "symptoms.breathlessness"),
    },
    "abdomen": {
        "biliary_stones": ("conditions.gallstones",),
        "kidney_cysts": ("conditions.polycystic_kidneys",),
    },
    "fetal_anomalies": {
        name: (f"fetus.anomalies.{name}",)
        for name in ("bowel_ascites", "hydrops_growth", "brain", "structural", "cardiac_failure")
    },
}  # fmt: skip
"""Block -> state -> questions. Of ``abdomen`` only a yes counts: gallstones denied are not an abdomen seen normal."""

SITES: Mapping[str, str | None] = {
    "colon": "colorectal", "rectum": "colorectal", "stomach": "gastric", "pancreas": "pancreatic",
    "ovary": "ovarian_peritoneal", "peritoneum": "ovarian_peritoneal", "appendix": "appendix", "thyroid": "thyroid",
    "neuroendocrine": "neuroendocrine", "breast": "breast", "bone": "bone", "prostate": "prostate", "lung": "other",
    "kidney": "other", "bladder": "other", "uterus": "other", "oesophagus": "other", "melanoma": "other",
    "lymphoma": "other", "leukaemia": "other", "sarcoma": "other", "gist": "other", "testis": "other",
    "head_neck": "other", "brain": "other", "other": "other",
    "unknown": None, "liver": None, "bile_duct": None,
}  # fmt: skip
"""Site of a cancer -> state of ``primary``. None: no state of its own; a cancer that began in the liver is a cause, not
a primary elsewhere, and one of unknown origin may be any of them."""


class SerologyTest(NamedTuple):
    """A test for an infection.

    Args:
        state: state of ``serology`` that it speaks about.
        left: what a negative result leaves of that state: 0 for a test that settles it, more where the state has other
            or more sensitive tests, which may not have been done. These are judgements.
    """

    state: str
    left: float = 0.0


SEROLOGY: Mapping[str, SerologyTest] = {
    "echinococcus": SerologyTest("echinococcus"),
    "echinococcus_granulosus": SerologyTest("echinococcus", 0.2),
    "echinococcus_multilocularis": SerologyTest("echinococcus", 0.2),
    "brucella": SerologyTest("brucella"),
    "brucella_coombs": SerologyTest("brucella"),
    "rose_bengal": SerologyTest("brucella", 0.3),
    "schistosoma": SerologyTest("schistosoma"),
    "schistosoma_eggs": SerologyTest("schistosoma", 0.5),
    "igra": SerologyTest("tuberculosis"),
    "tuberculin": SerologyTest("tuberculosis", 0.3),
    "tuberculosis_culture": SerologyTest("tuberculosis", 0.5),
    "amoeba": SerologyTest("amoeba"),
    "bartonella": SerologyTest("bartonella"),
    "histoplasma": SerologyTest("fungus", 0.3),
    "beta_d_glucan": SerologyTest("fungus", 0.3),
    "candida": SerologyTest("fungus", 0.3),
    "fungal_culture": SerologyTest("fungus", 0.3),
    "fasciola": SerologyTest("fasciola"),
    "toxocara": SerologyTest("toxocara"),
    "cysticercus": SerologyTest("cysticercus"),
    "blood_culture": SerologyTest("bacteria", 0.3),
    "abscess_culture": SerologyTest("bacteria", 0.1),
}
"""Name of the test -> what it speaks about."""
