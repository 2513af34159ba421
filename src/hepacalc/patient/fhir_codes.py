"""Codes that a FHIR bundle may carry, and what they are in a patient file. What is not here is passed over.

LOINC for laboratory tests, ICD-10 by prefix (the longest wins) and SNOMED CT for conditions and procedures, ATC by
prefix for drugs. A unit that does not fit the value is a second check of each laboratory code.

A target is ``section.name``, ``cancer:site``, ``serology:test`` or ``virus:name``.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ATC", "ICD10", "LOINC", "RESULTS", "SNOMED", "SYSTEMS", "target_of"]

SYSTEMS: Mapping[str, str] = {
    "http://loinc.org": "loinc",
    "urn:oid:2.16.840.1.113883.6.1": "loinc",
    "http://snomed.info/sct": "snomed",
    "urn:oid:2.16.840.1.113883.6.96": "snomed",
    "http://hl7.org/fhir/sid/icd-10": "icd10",
    "http://hl7.org/fhir/sid/icd-10-cm": "icd10",
    "http://hl7.org/fhir/sid/icd-10-de": "icd10",
    "http://fhir.de/CodeSystem/bfarm/icd-10-gm": "icd10",
    "urn:oid:2.16.840.1.113883.6.3": "icd10",
    "urn:oid:2.16.840.1.113883.6.90": "icd10",
    "http://www.whocc.no/atc": "atc",
    "urn:oid:2.16.840.1.113883.6.73": "atc",
    "http://fhir.de/CodeSystem/bfarm/atc": "atc",
}

LOINC: Mapping[str, str] = {
    "1742-6": "lab:alt", "1743-4": "lab:alt", "1744-2": "lab:alt", "76625-3": "lab:alt",
    "1920-8": "lab:ast", "30239-8": "lab:ast", "88112-8": "lab:ast",
    "6768-6": "lab:alp", "2324-2": "lab:ggt",
    "1975-2": "lab:bilirubin", "14631-6": "lab:bilirubin", "42719-5": "lab:bilirubin", "54363-7": "lab:bilirubin",
    "1968-7": "lab:bilirubin_direct", "14629-0": "lab:bilirubin_direct",
    "1751-7": "lab:albumin", "61151-7": "lab:albumin", "61152-5": "lab:albumin",
    "2160-0": "lab:creatinine", "14682-9": "lab:creatinine", "2276-4": "lab:ferritin",
    "33914-3": "lab:egfr", "62238-1": "lab:egfr", "98979-8": "lab:egfr",
    "777-3": "lab:platelets", "26515-7": "lab:platelets", "778-1": "lab:platelets",
    "718-7": "lab:haemoglobin", "6301-6": "lab:inr",
    "1988-5": "lab:crp", "30522-7": "lab:crp", "30341-2": "lab:esr", "4537-7": "lab:esr",
    "6690-2": "lab:wbc", "26464-8": "lab:wbc", "804-5": "lab:wbc",
    "711-2": "lab:eosinophils", "26449-9": "lab:eosinophils", "712-0": "lab:eosinophils",
    "713-8": "lab:eosinophils_percent", "26450-7": "lab:eosinophils_percent", "714-6": "lab:eosinophils_percent",
    "17861-6": "lab:calcium", "2000-8": "lab:calcium", "1995-0": "lab:calcium_ionised",
    "2777-1": "lab:phosphate", "14879-1": "lab:phosphate", "2731-8": "lab:pth", "14866-8": "lab:pth",
    "1834-1": "lab:afp", "19176-7": "lab:afp", "2039-6": "lab:cea", "24108-3": "lab:ca19_9", "10334-1": "lab:ca125",
    "6875-9": "lab:ca15_3", "1992-7": "lab:calcitonin", "2857-1": "lab:psa", "9811-1": "lab:cga",
    "29615-2": "lab:hbv_dna", "42595-9": "lab:hbv_dna",
    "11011-4": "lab:hcv_rna", "20416-4": "lab:hcv_rna", "11259-9": "lab:hcv_rna",
    "5195-3": "virus:hbsag", "5196-1": "virus:hbsag", "5197-9": "virus:hbsag",
    "13952-7": "virus:anti_hbc", "16933-4": "virus:anti_hbc", "13954-3": "virus:hbeag",
    "16128-1": "virus:anti_hcv", "13955-0": "virus:anti_hcv",
    "71773-6": "serology:igra",
    "40614-0": "serology:brucella", "30202-6": "serology:brucella",
}  # fmt: skip

ICD10: Mapping[str, str] = {
    # cancers: C77-C79 are secondary and C97 several; they have no site of their own
    **{f"C{n:02d}": "cancer:other" for n in range(77)},
    **{f"C{n:02d}": "cancer:lymphoma" for n in range(81, 91)},
    **{f"C{n:02d}": "cancer:leukaemia" for n in range(91, 96)},
    **{f"C{n:02d}": "cancer:head_neck" for n in [*range(15), *range(30, 33)]},
    "C15": "cancer:oesophagus", "C16": "cancer:stomach", "C18": "cancer:colon", "C18.1": "cancer:appendix",
    "C181": "cancer:appendix", "C19": "cancer:rectum", "C20": "cancer:rectum", "C22": "cancer:liver",
    "C22.1": "cancer:bile_duct", "C24": "cancer:bile_duct", "C25": "cancer:pancreas", "C34": "cancer:lung",
    "C40": "cancer:bone", "C41": "cancer:bone", "C43": "cancer:melanoma", "C48": "cancer:peritoneum",
    "C50": "cancer:breast", "C53": "cancer:uterus", "C54": "cancer:uterus", "C55": "cancer:uterus",
    "C56": "cancer:ovary", "C57.0": "cancer:ovary", "C61": "cancer:prostate", "C62": "cancer:testis",
    "C64": "cancer:kidney", "C67": "cancer:bladder", "C71": "cancer:brain", "C73": "cancer:thyroid",
    "C7A": "cancer:neuroendocrine", "C80": "cancer:unknown", "C76": "cancer:unknown",
    # skin other than melanoma does not spread to the liver as a rule: passed over
    "C44": "",
    # conditions
    "K74.3": "conditions.cirrhosis", "K74.4": "conditions.cirrhosis", "K74.5": "conditions.cirrhosis",
    "K74.6": "conditions.cirrhosis", "K70.3": "conditions.cirrhosis",
    "B18.0": "conditions.chronic_hepatitis_b", "B18.1": "conditions.chronic_hepatitis_b",
    "B18.2": "conditions.chronic_hepatitis_c", "K76.6": "conditions.portal_hypertension",
    "I81": "conditions.portal_vein_thrombosis", "K75.0": "conditions.liver_abscess",
    "A06.4": "conditions.liver_abscess", "S36.1": "conditions.liver_injury", "R57": "conditions.shock",
    "N18.4": "conditions.renal_failure", "N18.5": "conditions.renal_failure", "N18.6": "conditions.renal_failure",
    "N17": "conditions.renal_failure", "Z99.2": "treatments.dialysis", "K83.0": "conditions.cholangitis",
    "K83.01": "conditions.primary_sclerosing_cholangitis",
    "K80.0": "conditions.gallstones", "K80.1": "conditions.gallstones", "K80.2": "conditions.gallstones",
    "Q61.2": "conditions.polycystic_kidneys", "Q61.3": "conditions.polycystic_kidneys",
    "B20": "conditions.hiv", "B21": "conditions.hiv", "B22": "conditions.hiv", "B23": "conditions.hiv",
    "B24": "conditions.hiv", "Z21": "conditions.hiv", "D70": "conditions.neutropenia",
    "D71": "conditions.granulocyte_disease", "E74.0": "conditions.glycogen_storage",
    "E83.1": "conditions.iron_overload", "I70": "conditions.atherosclerosis", "I25.1": "conditions.atherosclerosis",
    "E10": "conditions.diabetes", "E11": "conditions.diabetes", "E13": "conditions.diabetes",
    "E14": "conditions.diabetes", "M30": "conditions.vasculitis", "M31": "conditions.vasculitis",
    "Z94": "treatments.organ_transplant", "Z90.49": "", "Z92.21": "treatments.chemotherapy",
    "Z92.3": "treatments.radiotherapy", "Z79.01": "treatments.anticoagulants",
    # own illness that the exposure of the same name includes
    "A15": "exposures.tuberculosis", "A16": "exposures.tuberculosis", "A17": "exposures.tuberculosis",
    "A18": "exposures.tuberculosis", "A19": "exposures.tuberculosis", "B90": "exposures.tuberculosis",
    "Z20.1": "exposures.tuberculosis", "A23": "exposures.brucella", "B39": "exposures.histoplasma_area",
    # symptoms
    "R17": "symptoms.jaundice", "R18": "symptoms.ascites", "R50": "symptoms.fever", "R61": "symptoms.sweats",
    "R63.4": "symptoms.weight_loss", "R05": "symptoms.cough", "R06.0": "symptoms.breathlessness",
    "R10.11": "symptoms.pain", "I85": "symptoms.variceal_bleeding", "R23.2": "symptoms.flushing",
}  # fmt: skip

SNOMED: Mapping[str, str] = {
    "19943007": "conditions.cirrhosis", "61977001": "conditions.chronic_hepatitis_b",
    "128302006": "conditions.chronic_hepatitis_c", "34742003": "conditions.portal_hypertension",
    "17920008": "conditions.portal_vein_thrombosis", "27916005": "conditions.liver_abscess",
    "46177005": "conditions.renal_failure", "82403002": "conditions.cholangitis",
    "197441003": "conditions.primary_sclerosing_cholangitis", "235919008": "conditions.gallstones",
    "86406008": "conditions.hiv", "165816005": "conditions.hiv", "387759001": "conditions.granulocyte_disease",
    "399187006": "conditions.iron_overload", "38716007": "conditions.atherosclerosis",
    "53741008": "conditions.atherosclerosis", "73211009": "conditions.diabetes", "44054006": "conditions.diabetes",
    "46635009": "conditions.diabetes", "56717001": "exposures.tuberculosis",
    "363406005": "cancer:colon", "363351006": "cancer:rectum", "363349007": "cancer:stomach",
    "363418001": "cancer:pancreas", "363443007": "cancer:ovary", "363478007": "cancer:thyroid",
    "254837009": "cancer:breast", "399068003": "cancer:prostate", "363358000": "cancer:lung",
    "109841003": "cancer:liver",
    "18165001": "symptoms.jaundice", "389026000": "symptoms.ascites", "386661006": "symptoms.fever",
    "42984000": "symptoms.sweats", "89362005": "symptoms.weight_loss", "49727002": "symptoms.cough",
    "267036007": "symptoms.breathlessness", "301717006": "symptoms.pain",
    # procedures
    "38102005": "treatments.cholecystectomy", "45595009": "treatments.cholecystectomy",
    "107963000": "treatments.liver_surgery", "18027006": "treatments.organ_transplant",
    "70536003": "treatments.organ_transplant", "302497006": "treatments.dialysis",
    "265764009": "treatments.dialysis", "108241001": "treatments.dialysis",
    "367336001": "treatments.chemotherapy", "108290001": "treatments.radiotherapy",
}  # fmt: skip

ATC: Mapping[str, str] = {
    "C01BD01": "treatments.amiodarone", "L01": "treatments.chemotherapy", "L04A": "treatments.immunosuppressants",
    "M01CB": "treatments.gold", "B01AA": "treatments.anticoagulants", "B01AB": "treatments.anticoagulants",
    "B01AE": "treatments.anticoagulants", "B01AF": "treatments.anticoagulants",
    "G03AA": "treatments.contraceptive_pill", "G03AB": "treatments.contraceptive_pill",
    "G03B": "treatments.androgens", "A14A": "treatments.androgens",
}  # fmt: skip

RESULTS: Mapping[str, str] = {
    # SNOMED CT qualifiers
    "10828004": "positive", "260373001": "positive", "11214006": "positive", "52101004": "positive",
    "260385009": "negative", "260415000": "negative", "131194007": "negative", "2667000": "negative",
    "42425007": "indeterminate", "82334004": "indeterminate",
    # HL7 interpretation codes
    "POS": "positive", "DET": "positive", "RR": "positive", "NEG": "negative", "ND": "negative", "NR": "negative",
    "IND": "indeterminate", "E": "indeterminate", "WR": "indeterminate",
    "H": "raised", "HH": "raised", "HU": "raised", "L": "low", "LL": "low", "LU": "low", "N": "normal",
    # words, whole and in lower case
    "positive": "positive", "detected": "positive", "reactive": "positive", "negative": "negative",
    "not detected": "negative", "nonreactive": "negative", "non-reactive": "negative",
    "indeterminate": "indeterminate", "equivocal": "indeterminate", "borderline": "indeterminate",
}  # fmt: skip


def target_of(system: str, code: str) -> str:
    """Return what a code is in a patient file; empty when it is not known or not used.

    Args:
        system: one of the values of :data:`SYSTEMS`.
        code: as in the coding.
    """
    if system in ("loinc", "snomed"):
        return {"loinc": LOINC, "snomed": SNOMED}[system].get(code, "")
    table = {"icd10": ICD10, "atc": ATC}[system]
    plain = code.strip().upper()
    if system == "icd10" and "." not in plain and len(plain) > 3:
        plain = f"{plain[:3]}.{plain[3:]}"
    fits = [key for key in table if plain.startswith(key)]
    return table[max(fits, key=len)] if fits else ""
