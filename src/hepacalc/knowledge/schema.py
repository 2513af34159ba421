"""How the files of the knowledge base must look: findings, causes, settings, sources, thresholds, corrections.

Rules, red flags, tests and reference cases are in ``schema_rules``. Every model refuses unknown keys. What one file
says of another (a source id, a state, a cause) is checked in ``check`` and ``build``, which see all of them.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hepacalc.knowledge.schema_base import TOLERANCE, Identifier, Share, SourceRefs, Status, Strict, Words
from hepacalc.knowledge.schema_rules import Condition

__all__ = [
    "AxesBlockIn",
    "BlockIn",
    "CauseIn",
    "CorrectionIn",
    "CorrectionsIn",
    "CountIn",
    "FindingIn",
    "FindingsIn",
    "GuidelineIn",
    "OverlayIn",
    "PictureIn",
    "SettingIn",
    "SettingsIn",
    "SourcesIn",
    "StatementIn",
    "ThresholdIn",
    "ThresholdsIn",
]

Network = Literal["adult", "fetal"]
Group = Literal[
    "granulomatous", "infective", "parasitic", "biliary", "cyst", "benign tumour", "malignant", "malignant low",
    "metastasis", "vascular", "trauma", "iatrogenic", "mimic", "metabolic", "other", "fetal",
]  # fmt: skip
Shares = dict[Identifier, Share]


# findings.yaml


def _whole(shares: Shares, names: set[str]) -> None:
    if set(shares) != names:
        odd = sorted(set(shares) ^ names)
        raise ValueError(f"base must name every state once, these do not match: {', '.join(odd)}")
    if abs(sum(shares.values()) - 1) > TOLERANCE:
        raise ValueError(f"base sums to {sum(shares.values()):.6g}, not to 1")
    if min(shares.values()) <= 0:
        raise ValueError("base holds a zero: nothing is impossible")


class BlockIn(Strict):
    """A block with plain states."""

    name: Words
    states: dict[Identifier, Words] = Field(min_length=2)
    base: Shares
    ess: float = Field(gt=0, le=1000)
    source: SourceRefs = Field(default=["J-BASE"])

    @model_validator(mode="after")
    def _base(self) -> Self:
        _whole(self.base, set(self.states))
        return self


class AxesBlockIn(Strict):
    """A block whose states are the product of two axes (host and morphology)."""

    name: Words
    axes: dict[Identifier, dict[Identifier, Words]] = Field(min_length=2, max_length=2)
    base: dict[Identifier, Shares]
    ess: float = Field(gt=0, le=1000)
    source: SourceRefs = Field(default=["J-BASE"])

    @model_validator(mode="after")
    def _base(self) -> Self:
        if set(self.axes) != set(self.base):
            raise ValueError("axes and base do not name the same axes")
        for axis, states in self.axes.items():
            _whole(self.base[axis], set(states))
        return self


class FindingsIn(Strict):
    """``findings.yaml``: the blocks of each network. A block with ``axes`` is an :class:`AxesBlockIn`."""

    adult: dict[Identifier, BlockIn | AxesBlockIn]
    fetal: dict[Identifier, BlockIn | AxesBlockIn]


# causes/ID.yaml


class CountIn(Strict):
    """``n`` of ``N`` patients of a source had one of ``states`` (lesion: of ``host`` and of ``morphology``)."""

    states: list[str] = Field(default=[], min_length=1)
    host: list[Identifier] = Field(default=[], min_length=1)
    morphology: list[Identifier] = Field(default=[], min_length=1)
    n: int = Field(ge=0)
    N: int = Field(ge=1)
    source: Annotated[str, Field(min_length=1)]
    status: Status
    note: str = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.n > self.N:
            raise ValueError(f"n = {self.n} is more than N = {self.N}")
        if bool(self.states) == bool(self.host or self.morphology):
            raise ValueError("give states, or for the lesion host and/or morphology")
        return self


class PictureIn(Strict):
    """One part of a joint picture: a product of host and morphology with a weight."""

    weight: float = Field(gt=0, le=1)
    host: Shares = Field(min_length=1)
    morphology: Shares = Field(min_length=1)

    @model_validator(mode="after")
    def _sums(self) -> Self:
        for axis in ("host", "morphology"):
            _at_most_one(getattr(self, axis), axis)
        return self


def _at_most_one(shares: Shares, what: str) -> None:
    if sum(shares.values()) > 1 + TOLERANCE:
        raise ValueError(f"{what} sums to {sum(shares.values()):.6g}, more than 1")


class FindingIn(Strict):
    """What a cause says of a block: stated shares or pictures, published counts, an effective sample size."""

    p: Shares | None = None
    pictures: list[PictureIn] | None = Field(default=None, min_length=1)
    ess: float = Field(gt=0, le=1000)
    counts: list[CountIn] = Field(default=[])
    source: SourceRefs
    status: Status
    note: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.p is not None and self.pictures is not None:
            raise ValueError("give p or pictures, not both")
        if self.p is None and self.pictures is None and not self.counts:
            raise ValueError("no p, no pictures, no counts: leave the block out")
        if self.p is not None:
            _at_most_one(self.p, "p")
        if self.pictures and sum(part.weight for part in self.pictures) > 1 + TOLERANCE:
            raise ValueError("the weights of the pictures sum to more than 1")
        return self


class NamesIn(Strict):
    """Other names by language."""

    en: list[str] = Field(default=[])
    zh: list[str] = Field(default=[])


class StatementIn(Words):
    """A sentence with its source."""

    source: SourceRefs


class CauseIn(Strict):
    """``causes/ID.yaml``. ``icd11: null``: no code is known that could be given with confidence."""

    id: Identifier
    network: Network
    group: Group
    name: Words
    other_names: NamesIn = NamesIn()
    icd10: str = Field(pattern=r"^[A-Z]\d[0-9A-Z](\.\d{1,2})?$")
    icd11: str | None = Field(pattern=r"^[0-9A-Z][A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,3})?([&/][0-9A-Z.]+)*$")
    harm: Literal["benign", "watch", "dangerous", "malignant"]
    needle: Literal["allowed", "caution", "never"]
    summary: Words
    findings: dict[Identifier, FindingIn] = Field(min_length=1)
    traps: list[StatementIn] = Field(default=[])
    next_tests: list[Identifier] = Field(default=[])
    management: list[StatementIn] = Field(min_length=1)


# settings.yaml


class PriorRowIn(Strict):
    """A share of all calcified foci in a setting, given to one cause or split among several.

    ``among``: parts by cause, in any unit. ``split``: the source of the split, when there is more than one cause.
    """

    share: float = Field(gt=0, le=1)
    ess: float = Field(ge=1, le=10000)
    source: str = Field(min_length=1)
    among: dict[Identifier, Annotated[float, Field(gt=0)]] = Field(min_length=1)
    split: str | None = None
    note: str = ""

    @model_validator(mode="after")
    def _split_said(self) -> Self:
        if len(self.among) > 1 and not self.split:
            raise ValueError("a share split among causes needs the source of the split")
        return self


class SettingIn(Strict):
    """One setting. Exactly one of a network has ``derived_from: null``: it applies when no other does."""

    network: Network
    name: Words
    why: Words
    rank: int
    derived_from: Condition | None
    given: dict[Identifier, list[Identifier]] = Field(default={})
    prior: list[PriorRowIn] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = sum(row.share for row in self.prior)
        if abs(total - 1) > TOLERANCE:
            raise ValueError(f"the shares of prior sum to {total:.6g}, not to 1")
        causes = [cause for row in self.prior for cause in row.among]
        if twice := sorted({cause for cause in causes if causes.count(cause) > 1}):
            raise ValueError(f"in more than one row of prior: {', '.join(twice)}")
        return self


class SettingsIn(Strict):
    """``settings.yaml``."""

    settings: dict[Identifier, SettingIn] = Field(min_length=1)


# sources.yaml


class WorkIn(Strict):
    """A publication, once. ``address``: a DOI, PubMed, PMC, NCBI book or ISBN number, or empty."""

    citation: str = Field(min_length=1)
    year: int | None = Field(default=None, ge=1900, le=2100)
    address: str = Field(default="", pattern=r"^$|^doi:10\.\d{4,9}/\S+$|^PMID \d+$|^PMC\d+$|^NBK\d+$|^ISBN [\d-]+$")


class SourceIn(Strict):
    """One fact of a work, by the id that numbers and sentences point to."""

    work: Identifier
    status: Status
    confidence: Share
    kind: Literal["freq", "test", "prior", "prior_working", "rule", "threshold", "correction", "series", "judgement"]
    about: str = ""
    says: str = Field(min_length=1)
    value: float | None = None
    n: int | None = Field(default=None, ge=0)
    N: int | None = Field(default=None, ge=1)
    population: str = ""


class SourcesIn(Strict):
    """``sources.yaml``: every work once, and what was taken from it."""

    works: dict[Identifier, WorkIn]
    sources: dict[Annotated[str, Field(pattern=r"^(E\d{3}[a-z]?|J-[A-Z0-9][A-Z0-9-]*)$")], SourceIn]


# thresholds.yaml, corrections.yaml


class ThresholdIn(Strict):
    """A number that decides something. A probability lies between 0 and 1, neither of them itself."""

    value: float
    unit: str
    name: Words
    source: str = Field(min_length=1)
    status: Status

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not threshold_is_possible(self.value, self.unit):
            raise ValueError(f"{self.value:g} is no {self.unit}: {THRESHOLD_RANGE}")
        return self


THRESHOLD_RANGE = "a probability lies between 0 and 1, other thresholds above 0"


def threshold_is_possible(value: float, unit: str) -> bool:
    """Whether a threshold of this unit can have this value."""
    return 0 < value < 1 if unit == "probability" else value > 0


class ChoiceIn(Words):
    """One guideline that can be chosen."""

    source: str = Field(min_length=1)


class GuidelineIn(Strict):
    """A question on which guidelines disagree."""

    name: Words
    choices: dict[Identifier, ChoiceIn] = Field(min_length=1)
    chosen: Identifier
    because: str = Field(min_length=1)

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.chosen not in self.choices:
            raise ValueError(f"chosen is {self.chosen}, there is {', '.join(self.choices)}")
        return self


class ThresholdsIn(Strict):
    """``thresholds.yaml``."""

    thresholds: dict[Identifier, ThresholdIn]
    guidelines: dict[Identifier, GuidelineIn]


class CorrectionIn(Strict):
    """What the article says, in short, and what is right."""

    id: str = Field(pattern=r"^E\d{3}$")
    article: str = Field(min_length=1)
    right: Words
    source: SourceRefs
    status: Status


class CorrectionsIn(Strict):
    """``corrections.yaml``."""

    corrections: list[CorrectionIn]


# a site's overlay


class SiteShareIn(Strict):
    """A site's own share of one cause in one setting."""

    share: float = Field(gt=0, lt=1)
    ess: float = Field(ge=1, le=10000)
    source: str = Field(min_length=1)


class SiteThresholdIn(Strict):
    """A site's own threshold, in the unit of ours."""

    value: float
    source: str = Field(min_length=1)


class SiteChoiceIn(Strict):
    """The guideline that a site applies."""

    chosen: Identifier
    source: str = Field(min_length=1)


class OverlayIn(Strict):
    """A site's own file: priors by setting and cause, thresholds, chosen guidelines, each with its source in words."""

    site: str = Field(min_length=1, max_length=100)
    priors: dict[Identifier, dict[Identifier, SiteShareIn]] = Field(default={})
    thresholds: dict[Identifier, SiteThresholdIn] = Field(default={})
    guidelines: dict[Identifier, SiteChoiceIn] = Field(default={})

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        for setting, shares in self.priors.items():
            if sum(item.share for item in shares.values()) > 1 + TOLERANCE:
                raise ValueError(f"priors.{setting}: the shares sum to more than 1")
        return self
