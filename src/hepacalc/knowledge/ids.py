"""The causes that every knowledge base must hold, in the order of all tables.

Stored results and codes name them, so none may go. Causes of further files in ``causes/`` come after them, by id.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ADULT_CAUSES", "CAUSE_IDS", "FETAL_CAUSES", "NETWORKS", "in_order"]

NETWORKS = ("adult", "fetal")

ADULT_CAUSES: tuple[str, ...] = (
    # granulomatous
    "granuloma_healed", "tb_hepatic", "histoplasmosis", "sarcoidosis", "brucelloma", "cgd_abscess",
    "fungal_microabscess", "cat_scratch", "pneumocystis_dissem",
    # infective
    "pyogenic_abscess_residual", "amoebic_abscess_residual",
    # parasitic
    "ce", "ae", "schisto_japonica", "schisto_mansoni", "pentastomiasis", "cysticercosis", "toxocariasis",
    "fascioliasis", "dracunculiasis",
    # biliary, cysts
    "hepatolithiasis", "simple_cyst", "adpld", "mcn_liver",
    # benign tumours
    "haemangioma", "haemangioma_sclerosed", "fnh", "hca", "infantile_haemangioma",
    # malignant
    "hcc", "flc", "icca", "hepatoblastoma", "ehe", "angiosarcoma", "cnset",
    # metastases
    "met_colorectal", "met_gastric", "met_pancreas", "met_ovary_peritoneal", "met_thyroid_medullary", "met_net",
    "met_breast", "met_osteosarcoma", "met_prostate", "met_treated",
    # vascular, trauma, treatment
    "pv_calcification", "hepatic_artery_atherosclerosis", "hepatic_artery_aneurysm", "ischaemic_dystrophic",
    "haematoma", "post_treatment_or_foreign",
    # mimics, metabolic
    "mimic_diffuse_hyperdensity", "mimic_thorotrast", "mimic_gallbladder", "mimic_dropped_gallstone",
    "mimic_extrahepatic", "metastatic_calcification",
    # other
    "solitary_necrotic_nodule", "pseudolipoma_glisson", "pmp_capsular", "inflammatory_pseudotumour",
)  # fmt: skip

FETAL_CAUSES: tuple[str, ...] = (
    "fetal_isolated",
    "fetal_infection",
    "fetal_vascular",
    "fetal_meconium_peritonitis",
    "fetal_tumour",
    "fetal_aneuploidy",
)

CAUSE_IDS = ADULT_CAUSES + FETAL_CAUSES


def in_order(ids: Iterable[str]) -> tuple[str, ...]:
    """Return causes in the order of all tables."""
    there = set(ids)
    return (*(cause for cause in CAUSE_IDS if cause in there), *sorted(there - set(CAUSE_IDS)))
