"""The history: exposures, cancers, conditions, treatments, symptoms."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hepacalc.patient.words import NOT_ASKED, FactOrWord, Note, Part, Section, Three, When

__all__ = ["Cancer", "Cancers", "Conditions", "Exposures", "Symptoms", "Treatments"]


def _asked(text: str) -> Any:
    return Field(default=NOT_ASKED, description=text)


class Exposures(Section):
    """What a person met over a whole life, not only in today's job."""

    pasture: FactOrWord = _asked("sheep, herding dogs, home slaughter in an echinococcosis area")
    alveolar_area: FactOrWord = _asked("area of alveolar echinococcosis, contact with foxes or their hunters' dogs")
    schistosome_water: FactOrWord = _asked("fresh water in a schistosomiasis area (farming, fishing, bathing)")
    tuberculosis: FactOrWord = _asked("tuberculosis, one's own or a contact's")
    histoplasma_area: FactOrWord = _asked("histoplasmosis area, bats, bird droppings, or histoplasmosis itself")
    brucella: FactOrWord = _asked("raw dairy, livestock at birth, or brucellosis itself")
    reptile_meat: FactOrWord = _asked("meat of snakes or crocodilians")
    pork_tapeworm: FactOrWord = _asked("area of the pork tapeworm")
    fluke_plants: FactOrWord = _asked("raw watercress or other water plants")
    stone_area: FactOrWord = _asked("grew up in an East Asian area of intrahepatic stones or liver flukes")
    cats_dogs: FactOrWord = _asked("kittens or puppies, scratches")
    amoeba_area: FactOrWord = _asked("area of amoebiasis")
    guinea_worm: FactOrWord = _asked("area that had guinea worm")
    thorotrast: FactOrWord = _asked("contrast study between 1930 and 1955, or Thorotrast by name")
    industrial: FactOrWord = _asked("work with vinyl chloride or arsenic")


Site = Literal[
    "colon", "rectum", "stomach", "pancreas", "ovary", "peritoneum", "appendix", "thyroid", "neuroendocrine", "breast",
    "bone", "prostate", "lung", "kidney", "bladder", "uterus", "oesophagus", "bile_duct", "liver", "melanoma",
    "lymphoma", "leukaemia", "sarcoma", "gist", "testis", "head_neck", "brain", "unknown", "other",
]  # fmt: skip


class Cancer(Part):
    """One cancer."""

    site: Site = Field(description="where it began; unknown when that is not known")
    year: When | None = Field(default=None, description="when it was found")
    treated: Three = Field(default="not_asked", description="with drugs or radiation")
    remission: Three = Field(default="not_asked", description="no sign of it now")
    note: Note | None = Field(default=None, description="free text without names")


class Cancers(Part):
    """Cancers, known or found at the same time."""

    had: Three = Field(default="not_asked", description="no: asked, none known and none seen; yes: at least one")
    known: list[Cancer] = Field(default=[], max_length=20, description="each one")


class Conditions(Section):
    """Illnesses, now or before."""

    cirrhosis: FactOrWord = _asked("cirrhosis of the liver")
    chronic_hepatitis_b: FactOrWord = _asked("chronic hepatitis B")
    chronic_hepatitis_c: FactOrWord = _asked("chronic hepatitis C, not cured")
    portal_hypertension: FactOrWord = _asked("portal hypertension")
    portal_vein_thrombosis: FactOrWord = _asked("thrombosis of the portal vein")
    liver_abscess: FactOrWord = _asked("abscess of the liver")
    liver_injury: FactOrWord = _asked("injury of the liver")
    liver_bleeding: FactOrWord = _asked("bleeding in the liver")
    shock: FactOrWord = _asked("shock")
    intensive_care: FactOrWord = _asked("stay in intensive care")
    renal_failure: FactOrWord = _asked("renal failure")
    cholangitis: FactOrWord = _asked("cholangitis")
    primary_sclerosing_cholangitis: FactOrWord = _asked("primary sclerosing cholangitis")
    gallstones: FactOrWord = _asked("stones in gallbladder or common duct")
    polycystic_kidneys: FactOrWord = _asked("polycystic kidneys")
    hiv: FactOrWord = _asked("HIV infection")
    neutropenia: FactOrWord = _asked("neutropenia")
    granulocyte_disease: FactOrWord = _asked("recurrent abscesses since childhood, chronic granulomatous disease")
    glycogen_storage: FactOrWord = _asked("glycogen storage disease")
    iron_overload: FactOrWord = _asked("haemochromatosis or other iron overload")
    atherosclerosis: FactOrWord = _asked("atherosclerosis, coronary or peripheral artery disease")
    diabetes: FactOrWord = _asked("diabetes")
    vasculitis: FactOrWord = _asked("vasculitis")


class Treatments(Section):
    """Treatments, now or before."""

    liver_surgery: FactOrWord = _asked("operation on the liver")
    ablation: FactOrWord = _asked("ablation in the liver")
    embolisation: FactOrWord = _asked("embolisation or chemoembolisation in the liver, Lipiodol, coils")
    stent: FactOrWord = _asked("stent or drain in bile ducts or liver vessels")
    cholecystectomy: FactOrWord = _asked("removal of the gallbladder")
    biliary_surgery: FactOrWord = _asked("operation on the bile ducts")
    chemotherapy: FactOrWord = _asked("drug treatment of cancer")
    radiotherapy: FactOrWord = _asked("radiation treatment of cancer")
    dialysis: FactOrWord = _asked("dialysis")
    organ_transplant: FactOrWord = _asked("transplant of an organ")
    immunosuppressants: FactOrWord = _asked("immunosuppressants")
    anticoagulants: FactOrWord = _asked("anticoagulants")
    amiodarone: FactOrWord = _asked("amiodarone")
    gold: FactOrWord = _asked("gold")
    transfusions: FactOrWord = _asked("many transfusions, or iron by vein over long")
    contraceptive_pill: FactOrWord = _asked("contraceptive pill")
    androgens: FactOrWord = _asked("androgens or anabolic steroids")


class Symptoms(Section):
    """Symptoms, now."""

    pain: FactOrWord = _asked("pain in the right upper abdomen")
    mass: FactOrWord = _asked("a mass that can be felt")
    fever: FactOrWord = _asked("fever")
    sweats: FactOrWord = _asked("night sweats")
    weight_loss: FactOrWord = _asked("weight loss")
    jaundice: FactOrWord = _asked("jaundice")
    ascites: FactOrWord = _asked("ascites")
    variceal_bleeding: FactOrWord = _asked("varices or bleeding from them")
    diarrhoea: FactOrWord = _asked("lasting diarrhoea")
    flushing: FactOrWord = _asked("flushing")
    cushing: FactOrWord = _asked("signs of Cushing's syndrome")
    cough: FactOrWord = _asked("lasting cough")
    breathlessness: FactOrWord = _asked("breathlessness")
