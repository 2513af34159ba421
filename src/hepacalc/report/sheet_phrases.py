"""The English phrases of the sheet for the patient: short sentences, plain words, no number but dates."""

from __future__ import annotations

__all__ = ["SHEET_PHRASES", "TEST_WORDS"]

SHEET_PHRASES: dict[str, str] = {
    "sheet.title": "Calcium in the liver: what your scan shows",
    "sheet.title.fetus": "A bright spot in your baby's liver",
    "sheet.name": "Name",
    "sheet.for-you": "This page is for you. Take it with you to your next visit.",
    # what it is
    "sheet.what": "What it is",
    "sheet.one": "There is one spot of calcium in your liver.",
    "sheet.some": "There are spots of calcium in your liver.",
    "sheet.unsure.one": "There is a bright spot in your liver.",
    "sheet.unsure.some": "There are bright spots in your liver.",
    "sheet.said.one": "You were told that there is a spot of calcium in your liver.",
    "sheet.said.some": "You were told that there are spots of calcium in your liver.",
    "sheet.calcium": "Calcium is the hard stuff in bone and chalk.",
    "sheet.scar": (
        "What we know fits a scar. Such a scar stays when an old infection or injury has healed. It is common and most "
        "often does no harm."
    ),
    "sheet.cause-open": (
        "Many people have such a spot. Most are old scars and do no harm. But a few have a cause that needs care. We "
        "cannot tell yet which one you have."
    ),
    "sheet.closer": (
        "A doctor needs to take a closer look. It is too soon to say what it is. It may turn out to be harmless. But "
        "do not wait, and do not skip the steps below."
    ),
    "sheet.unsure": (
        "It may be calcium. It may be something else, such as a blood vessel. This scan cannot tell. Another look is "
        "needed."
    ),
    "sheet.none": "We looked for calcium in your liver. We saw none.",
    "sheet.none.small": "A very small spot can be missed on any scan.",
    "sheet.none.limits": "But the scan did not show all of the liver well. A spot may have been missed.",
    "sheet.unjudged": (
        "We could not judge this scan. We do not know if there is calcium in your liver or not. The pictures were not "
        "good enough."
    ),
    "sheet.hidden": "Parts of the scan could not be judged. There may be more to see.",
    "sheet.fetus": (
        "The scan shows a bright spot in your baby's liver. It may be calcium. Most babies with one such spot and "
        "nothing else do well. But some have an infection or another cause. So your doctors want to look closely."
    ),
    "sheet.fetus.closer": (
        "The scan shows a bright spot in your baby's liver, and something else that needs a closer look. It is too "
        "soon to say what it means. Please do not wait with the steps below."
    ),
    # what it is not
    "sheet.not": "What it is not",
    "sheet.not.final": "This page is not a final answer. A computer made it. Your doctor decides.",
    "sheet.not.all": "It is about calcium only. It does not check the rest of your liver or your belly.",
    "sheet.not.well": "So it does not say that all is well.",
    "sheet.not.scar": "Such a scar is not cancer. You cannot pass it on. You need not change what you eat for it.",
    "sheet.not.proof": "It is not proof that you are ill. It is not proof that you are well.",
    "sheet.not.fault": "It is not your fault. Nothing you ate or did today made it.",
    "sheet.not.fetus": "It is not your fault. It is not proof that your baby is ill.",
    # what to do
    "sheet.do": "What to do, and when",
    "sheet.do.today": "Please see a doctor today. Take this page with you.",
    "sheet.do.no-treatment": "You need no treatment for this spot now.",
    "sheet.do.no-plan": "Show this page to your doctor. The doctor has to decide what comes next.",
    "sheet.do.nothing": "For calcium in the liver there is nothing to do now.",
    "sheet.do.ill": "If you feel ill, or if a doctor asked for this scan, talk to your doctor all the same.",
    "sheet.do.again": "Ask your doctor if the scan should be done again, or in another way.",
    "sheet.do.questions": "Your doctor will first ask you some questions. Your answers can change these steps.",
    "sheet.do.stop": "If nothing has changed by then, you need no more scans for it.",
    "sheet.do.enough": "As things are, you need no more scans for it.",
    "sheet.do.needle": "Tell each doctor: no needle into this spot before an expert has seen the pictures.",
    "sheet.do.doctor": "Show this page to your doctor. Ask when each step is.",
    "sheet.do.more": "Your doctor has the list of all steps.",
    "sheet.step": "{what}.",
    "sheet.step.today": "{what}: today.",
    "sheet.step.on": "{what}: on {first}.",
    "sheet.step.by": "{what}: by {last}.",
    "sheet.step.from-to": "{what}: from {first} to {last}.",
    "sheet.step.repeat": "{what}: from {first} to {last}, and then again as your doctor says.",
    "sheet.step.or": "{a} or {b}",
    # at once
    "sheet.at-once": "See a doctor at once if",
    "sheet.at-once.fever": "you have a fever or chills,",
    "sheet.at-once.yellow": "your skin or eyes turn yellow,",
    "sheet.at-once.pain": "you have bad pain in the belly,",
    "sheet.at-once.blood": "you throw up blood, or your stool is black.",
    "sheet.at-once.cyst": "you get a rash, feel faint, or find it hard to breathe. Then call for help right away.",
    "sheet.at-once.moves": "your baby moves less than before,",
    "sheet.at-once.fluid": "you bleed or lose fluid,",
    "sheet.at-once.belly": "you have bad pain in the belly.",
    "sheet.soon": "Tell your doctor soon if you lose weight and do not know why.",
    # foot
    "sheet.clinic": "Your clinic",
    "sheet.phone": "Phone",
    "sheet.visit": "Next visit",
    "sheet.dates": "Scan of {scanned}. Page made on {made}.",
    "sheet.dates.made": "Page made on {made}.",
    "sheet.foot": "Made by hepacalc. It helps doctors. It has had no clinical review. It is not a diagnosis.",
    "sheet.date": "{day} {month} {year}",
    "sheet.months": "January February March April May June July August September October November December",
    # tests in plain words
    "sheet.test.images": "A look at old pictures, if there are some",
    "sheet.test.ultrasound": "An ultrasound",
    "sheet.test.ct": "A CT scan",
    "sheet.test.mri": "An MRI scan",
    "sheet.test.pet": "A PET scan",
    "sheet.test.xray": "An X-ray",
    "sheet.test.bone": "Pictures of the bones",
    "sheet.test.heart": "An ultrasound of the heart",
    "sheet.test.stomach": "A look into the stomach through a thin tube",
    "sheet.test.bowel": "A look into the bowel through a thin tube",
    "sheet.test.duct": "A look into the bile ducts through a thin tube",
    "sheet.test.blood": "A blood test",
    "sheet.test.stool": "Tests of stool and blood",
    "sheet.test.sample": "A talk about a small sample of the spot, planned by experts",
    "sheet.test.talk": "A talk about past illness, drugs and surgery",
    "sheet.test.team": "A visit to a team of experts",
    "sheet.test.baby": "A close ultrasound of your baby",
    "sheet.test.baby-heart": "An ultrasound of your baby's heart",
    "sheet.test.baby-mri": "An MRI scan of your baby",
    "sheet.test.baby-again": "An ultrasound of your baby once more",
    "sheet.test.mother": "Blood tests of the mother",
    "sheet.test.water": "A talk about a test of the water around the baby; you choose",
    "sheet.test.parents": "A test of both parents",
    "sheet.test.child": "An ultrasound of your child after birth",
    "sheet.test.placenta": "A check of the afterbirth",
    "sheet.test.other": "A test that your doctor will explain",
}

TEST_WORDS: dict[str, tuple[str, ...]] = {
    "images": ("prior_images",),
    "ultrasound": (
        "ultrasound", "expert_ultrasound", "doppler", "elastography", "contrast_ultrasound", "pelvic_imaging",
        "breast_imaging", "thyroid_ultrasound",
    ),
    "ct": (
        "noncontrast_ct", "multiphase_ct", "cta", "dual_energy_ct", "chest_ct", "abdomen_pelvis_ct",
        "whole_abdomen_ct", "chest_abdomen_pelvis_ct", "pancreas_ct",
    ),
    "mri": ("mri", "mri_gadoxetate", "mri_plain", "mrcp", "brain_imaging"),
    "pet": ("pet_ct", "sstr_pet", "psma_pet"),
    "xray": ("plain_film",),
    "bone": ("bone_imaging", "bone_scan"),
    "heart": ("echocardiography",),
    "stomach": ("endoscopy", "gastroscopy"),
    "bowel": ("colonoscopy",),
    "duct": ("brush_cytology",),
    "blood": (
        "liver_tests", "crp_esr", "eosinophil_count", "hbsag", "hbv_dna", "hiv_test", "afp", "cea", "ca19_9", "ca125",
        "ca15_3", "calcitonin", "psa", "cga", "igg4", "calcium_pth", "ferritin_iron", "cortisol", "adrenal_hormones",
        "thyroid_function", "neutrophil_burst", "echinococcus_serology", "brucella_serology", "igra",
        "amoeba_serology", "bartonella_serology", "fungal_tests", "fasciola_serology", "toxocara_serology",
        "cysticercus_serology",
    ),
    "stool": ("schistosoma_tests",),
    "sample": ("biopsy", "aspirate_culture"),
    "talk": ("history_review",),
    "team": ("specialist_review",),
    "baby": ("fetal_anatomy_scan",),
    "baby-heart": ("fetal_echocardiography",),
    "baby-mri": ("fetal_mri",),
    "baby-again": ("serial_ultrasound",),
    "mother": ("maternal_infection_tests",),
    "water": ("amnio_microarray", "amnio_pcr"),
    "parents": ("cf_carrier_test",),
    "child": ("postnatal_ultrasound",),
    "placenta": ("placental_histology",),
}  # fmt: skip
"""Plain word of each test of the knowledge base: ``sheet.test.WORD``."""
