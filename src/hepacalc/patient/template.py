"""The patient file to fill in: every question with a word on what it asks, all of it commented out or not asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

from hepacalc.knowledge.schema_base import Strict
from hepacalc.patient.analytes import ANALYTES, units_of
from hepacalc.patient.schema_exam import ABDOMEN, CHEST, SPLEEN, FetusAnomalies
from hepacalc.patient.schema_history import Cancer, Conditions, Exposures, Symptoms, Treatments
from hepacalc.patient.vocabulary import SEROLOGY

__all__ = ["patient_template"]

Kind = Literal["adult", "fetal"]

_HEAD = """\
# hepacalc patient file. No names, no identifiers: an unknown field is refused.
#
# yes, no, not_asked: three answers. What is left out was not asked, and changes nothing. `no` means asked and denied.
# A question takes one word, or more: {had: yes, since: 1985, until: 1990, from_age: 7, place: .., note: ..}
# Dates: YYYY, YYYY-MM or YYYY-MM-DD. Lines that begin with # are not read.
schema_version: "1.0"
"""

_PERSON = """\
# assessed_on: 2026-01-31     # else today
# said_by: patient            # patient, relative, clinician, record
# reason: health_check        # health_check, symptoms, incidental, follow_up, staging, other
# setting: general_ct         # which prior applies; left out it is derived from what stands below, and shown
# age: 57                     # years; 0.5 is six months
# sex: female                 # female, male, other
# pregnant: no
# region: ..                  # kept, not read
"""

_CANCERS = """
# Cancers, known or found at the same time. had: no means asked, none known and none seen.
cancers:
  had: not_asked
  # known:
  #   - {{site: colon, year: 2019, treated: yes, remission: yes}}
  # sites: {sites}
"""

_LABORATORY = """
# Laboratory values with units (UCUM). The laboratory's own upper limit, in the same unit, is better than our default.
# A word does where there is no number: {{name: liver_tests, result: normal}} (or inflammation; normal, raised).
laboratory:
  # - {{name: alt, value: 35, unit: U/L, upper_limit: 40, date: 2026-01-20}}
  # - {{name: hbv_dna, value: "<20", unit: "[IU]/mL"}}
{names}

# Viral hepatitis and HIV: positive, negative, indeterminate, not_done; or {{result: positive, date: 2026-01-20}}
virus:
  # hbsag: negative
  # anti_hbs:
  # anti_hbc:
  # hbeag:
  # hbv_dna:                  # found or not; the amount goes to laboratory
  # anti_hcv: negative
  # hcv_rna:
  # hdv:                      # hepatitis D antibody or RNA
  # hiv:

# Tests for infections.
serology:
  # - {{test: echinococcus, result: negative, date: 2026-01-20}}
  # tests: {tests}
"""

_IMAGES = """
# What an ultrasound, CT or MRI showed, typed in. Not for a CT that hepacalc itself assesses along with this file.
examinations:
  # - modality: ultrasound    # contrast_ultrasound, radiograph, ct, ct_non_contrast, ct_contrast, mri, pet_ct, other
  #   date: 2026-01-25
  #   said_by: report         # report, person
  #   number: single          # a count, or single, few (2-5), many (over 5), diffuse
  #   lesions:
  #     - host: parenchyma    # one state, [several it may be], or {{state: weight}}
  #       morphology: [punctate, nodular]
  #       size_mm: 6          # largest diameter with its host
  #       calcium_mm: 6       # largest diameter of the calcium alone
  #       density_hu: 300     # densest part on non-contrast CT
  #       contour: sharp      # sharp, ill_defined, retraction
  #       enhancement: none   # none, septal, rim, aphe_washout, aphe, peripheral_nodular, heterogeneous
  #   ducts: normal           # normal, dilated, stricture
  #   liver: normal           # normal, cirrhosis
  #   spleen: normal          # or what was seen: {spleen}
  #   chest: [calcified_granulomas]    # {chest}
  #   abdomen: {{nodes: no, biliary_stones: yes}}
  #     # {abdomen}
  # hosts: parenchyma, cyst, solid_cystic_mass, solid_mass, septa_capsule, bile_duct, vessel, surface, treated_zone,
  #        diffuse, outside_liver
  # morphologies: punctate, nodular, rim, curvilinear, septal_map, central, coarse, amorphous, branching, linear,
  #        plaque, comma, metallic, homogeneous

# Older images to compare with.
old_images: not_asked
prior_examinations:
  # - {{date: 2022, modality: ultrasound, seen: yes, change: stable}}    # stable, grown, shrunk, denser_under_treatment

# What rules of the plan ask for beside findings: yes, no, not_asked unless said.
further:
  # contrast_allergy:         # severe reaction to contrast before
  # mri_unsafe_implant:       # implant that is not safe in MRI
  # bleeding_risk:            # bleeding tendency or anticoagulant
  # family_liver_cancer:      # liver cancer or cirrhosis in the family
  # hbv_other_risk:           # another reason to treat hepatitis B: coinfection, immunosuppression ...
  # ancestry: asian           # asian, black, other: for the surveillance criteria
  # fibrosis: none            # none (F0-F1), significant (F2), advanced (F3), cirrhosis
  # ce_stage: ce4             # WHO stage of a hydatid cyst: cl, ce1, ce2, ce3a, ce3b, ce4, ce5
  # ce_complicated:           # that cyst ruptured, infected or pressing on something
  # ae_resectable:            # alveolar echinococcosis that can be resected
  # schisto_active:           # eggs, miracidia or circulating antigen found
  # noncontrast_phase:        # a CT phase without contrast was read

# A person's last word on a block of the vocabulary; what was derived is kept and marked.
overrule:
  # - {{block: ducts, states: normal, note: ..}}
"""

_FETUS = """
# The scan of a fetus.
fetus:
  # gestational_weeks: 22
  # date: 2026-01-25
  referral: not_asked          # sent to a fetal centre for a finding
  # focus: parenchymal_few     # parenchymal_few, parenchymal_scattered, vascular, surface, mass
  # echogenic_bowel: no        # bright bowel
  # flow: none                 # Doppler: none, absent_vein, high
  karyotype: not_done          # normal, abnormal, not_done
  cystic_fibrosis: not_done    # positive, negative, not_done
  infections:
    # - {infection: cmv, igg: positive, igm: negative, pcr: not_done, avidity: high}
    # toxoplasma, cmv, rubella, parvovirus, herpes, varicella, syphilis, other
  anomalies:
"""


def patient_template(kind: Kind = "adult") -> str:
    """Return the text of a patient file to fill in; as it stands it says nothing.

    Args:
        kind: ``adult`` (adults and children) or ``fetal``.
    """
    if kind == "fetal":
        return (
            _HEAD
            + "# assessed_on: 2026-01-31     # else today\n"
            + _FETUS
            + "\n".join(_questions(FetusAnomalies, 4))
            + "\n"
        )
    parts = [_HEAD, _PERSON]
    for title, name, section in (
        ("Over the whole life, not today's job.", "exposures", Exposures),
        ("Illnesses, now or before.", "conditions", Conditions),
        ("Treatments, now or before.", "treatments", Treatments),
        ("Symptoms, now.", "symptoms", Symptoms),
    ):
        lines = "\n".join(_questions(section, 2))
        parts.append(f"\n# {title}\n{name}:\n{lines}\n")
        if name == "exposures":
            sites = ", ".join(get_args(Cancer.model_fields["site"].annotation))
            parts.append(_CANCERS.format(sites=_wrapped(sites, "  #   ")))
    names = "\n".join(f"  # {key}: {about.text}; {', '.join(units_of(key))}" for key, about in ANALYTES.items())
    tests = _wrapped(", ".join(SEROLOGY), "  #   ")
    parts.append(_LABORATORY.format(names=names, tests=tests))
    organs = {"spleen": SPLEEN, "chest": CHEST, "abdomen": ABDOMEN}
    words = {name: _wrapped(", ".join(states), "  #     # ") for name, states in organs.items()}
    parts.append(_IMAGES.format(**words))
    return "".join(parts)


def _questions(section: type[Strict], indent: int) -> Iterator[str]:
    space = " " * indent
    yield f"{space}others: not_asked            # no: every question of this list that is not answered was denied"
    for name, about in section.model_fields.items():
        if name != "others":
            yield f"{space}# {name}:".ljust(indent + 30) + f" # {about.description}"


def _wrapped(text: str, prefix: str) -> str:
    """Break a list of words into lines of at most 118 characters."""
    lines, line = [], ""
    for word in text.split(", "):
        if len(line) + len(word) > 88:
            lines.append(line.rstrip())
            line = prefix
        line += f"{word}, "
    return "\n".join([*lines, line.rstrip(", ")])
