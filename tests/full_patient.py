"""A patient file in which everything that can be typed in is typed in: every question, value, test and finding."""

from __future__ import annotations

from typing import Any, get_args

from hepacalc.knowledge import load_knowledge
from hepacalc.patient.analytes import ANALYTES
from hepacalc.patient.schema import Virus
from hepacalc.patient.schema_exam import ABDOMEN, CHEST, SPLEEN, FetusAnomalies, InfectionTest, Modality
from hepacalc.patient.schema_history import Conditions, Exposures, Site, Symptoms, Treatments
from hepacalc.patient.vocabulary import SEROLOGY

MODALITIES: tuple[str, ...] = get_args(Modality)
SITES: tuple[str, ...] = get_args(Site)


def _section(model: Any, answer: str) -> dict[str, Any]:
    had = {"had": "yes", "since": 1985, "until": 1990, "from_age": 7, "to_age": 12}
    return {name: had if answer == "yes" else "no" for name in model.model_fields if name != "others"}


def full_patients() -> list[dict[str, Any]]:
    """Adults, one with every answer yes and one with every answer no, one for each way of looking; and a fetus."""
    return [*_adults(), *_fetuses()]


def _adults() -> list[dict[str, Any]]:
    blocks = load_knowledge().blocks
    axes = blocks["lesion"].axis_names or {}
    out = []
    for answer, result in (("yes", "positive"), ("no", "negative")):
        base: dict[str, Any] = {
            "age": 57,
            "sex": "other" if answer == "yes" else "male",
            "exposures": _section(Exposures, answer),
            "conditions": _section(Conditions, answer),
            "treatments": _section(Treatments, answer),
            "symptoms": _section(Symptoms, answer),
            "virus": {name: {"result": result, "date": "2026-01-20"} for name in Virus.model_fields},
            "serology": [{"test": name, "result": result, "date": "2026-01-20"} for name in SEROLOGY],
            "laboratory": [
                {"name": name, "value": 1.5, "unit": analyte.unit, "upper_limit": 1.0, "date": "2023-01-20"}
                for name, analyte in ANALYTES.items()
                if analyte.possible[0] <= 1.5 <= analyte.possible[1]
            ]
            + [{"name": name, "result": "normal"} for name in ("liver_tests", "inflammation")],
        }
        cancers = [{"site": site, "year": 2019, "treated": "yes", "remission": "yes"} for site in SITES]
        known = [cancers[:15], cancers[15:]] if answer == "yes" else [[]]
        for k, part in enumerate(known):
            base["cancers"] = {"had": "yes", "known": part} if part else {"had": "no"}
            for j, modality in enumerate(MODALITIES[k::2] if answer == "yes" else MODALITIES):
                out.append(base | _exam(modality, axes, blocks, answer, j))
    return out


def _exam(modality: str, axes: Any, blocks: Any, answer: str, j: int) -> dict[str, Any]:
    hosts, shapes = list(axes["host"]), list(axes["morphology"])
    states = {name: list(blocks[name].state_names) for name in ("contour", "enhancement", "course")}
    lesion = {
        "host": {hosts[j % len(hosts)]: 1.0, hosts[(j + 5) % len(hosts)]: 0.5},
        "morphology": [shapes[(2 * j) % len(shapes)], shapes[(2 * j + 1) % len(shapes)]],
        "size_mm": 14,
        "contour": states["contour"][j % len(states["contour"])],
        "enhancement": states["enhancement"][j % len(states["enhancement"])],
        "course": states["course"][j % len(states["course"])],
    }
    if modality in ("ct", "ct_non_contrast", "ct_contrast", "pet_ct"):
        lesion["density_hu"] = 320
    exam = {
        "modality": modality,
        "number": "single",
        "ducts": ("normal", "dilated", "stricture")[j % 3],
        "liver": ("normal", "cirrhosis")[j % 2],
        "spleen": dict.fromkeys(SPLEEN, answer),
        "chest": dict.fromkeys(CHEST, answer),
        "abdomen": dict.fromkeys(ABDOMEN, answer),
        "lesions": [lesion],
    }
    changes = ("stable", "grown", "shrunk", "denser_under_treatment")
    prior = {"date": "2022-03", "modality": modality, "seen": "yes", "change": changes[j % 4]}
    unseen = {"date": 2020, "modality": modality, "seen": "no"}
    return {"examinations": [exam], "prior_examinations": [prior, unseen], "old_images": "yes"}


def _fetuses() -> list[dict[str, Any]]:
    infections = get_args(InfectionTest.model_fields["infection"].annotation)
    focuses = list(load_knowledge().blocks["fetal_focus"].state_names)
    flows = list(load_knowledge().blocks["fetal_flow"].state_names)
    return [
        {
            "fetus": {
                "gestational_weeks": 22.4,
                "focus": focus,
                "flow": flows[k % len(flows)],
                "referral": "yes",
                "echogenic_bowel": ("yes", "no")[k % 2],
                "karyotype": ("normal", "abnormal")[k % 2],
                "cystic_fibrosis": ("positive", "negative")[k % 2],
                "infections": [
                    {"infection": name, "igg": "positive", "igm": ("negative", "positive")[k % 2], "pcr": "negative",
                     "avidity": ("high", "low")[k % 2]}
                    for name in infections
                ],
                "anomalies": _section(FetusAnomalies, ("yes", "no")[k % 2]),
            }
        }
        for k, focus in enumerate(focuses)
    ]  # fmt: skip
