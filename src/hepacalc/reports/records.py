"""What a report says, as records: each answer tied to the characters it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hepacalc.records import NotMeasured

__all__ = [
    "LEVELS",
    "Advice",
    "Answer",
    "Change",
    "Mention",
    "Number",
    "ReportFindings",
    "Site",
    "Size",
    "State",
    "Words",
]

State = Literal["present", "probable", "possible", "absent", "gone", "history", "hypothetical"]
"""How a mention stands: stated, likely, only possible, denied, no longer there, of former times, asked for."""
Answer = Literal["yes", "uncertain", "no", "history", "not_stated"]
"""The answer of a whole report."""
LEVELS: tuple[State, ...] = ("present", "probable", "possible", "gone", "absent", "history", "hypothetical")
"""States, the one that decides first."""


@dataclass(frozen=True, slots=True)
class Words:
    """Characters ``start`` to ``end`` of the report, as Python counts them, and why they matter."""

    start: int
    end: int
    text: str
    role: str


@dataclass(frozen=True, slots=True)
class Number:
    """How many: a count, or ``single``, ``few``, ``multiple``, ``many``, ``diffuse``."""

    count: int | None
    word: str
    words: Words


@dataclass(frozen=True, slots=True)
class Size:
    """Diameters in millimetres, largest first; ``sign`` is ``<``, ``>`` or empty."""

    diameters_mm: tuple[float, ...]
    sign: str
    words: Words


@dataclass(frozen=True, slots=True)
class Site:
    """Where in the liver: Couinaud segments (``1`` to ``8``, ``4a``, ``4b``) and lobes or sections."""

    segments: tuple[str, ...]
    lobes: tuple[str, ...]
    words: Words


@dataclass(frozen=True, slots=True)
class Change:
    """Course against older images: ``stable``, ``grown``, ``shrunk``, ``new``, ``denser``; ``since`` is a year told."""

    kind: str
    words: Words
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """What the report recommends: ``follow_up``, ``imaging``, ``referral``, ``laboratory`` or ``none``.

    ``interval_days`` is the shortest and the longest time, or None where none is named; a month counts 30.4 days.
    """

    kind: str
    modality: str | None
    interval_days: tuple[int, int] | None
    words: Words


@dataclass(frozen=True, slots=True)
class Mention:
    """One place where calcium, or what can be taken for it, is spoken of.

    Args:
        kind: ``calcification``, ``bright_echo``, ``dense``, or a mimic: ``stone``, ``lipiodol``, ``clip``, ``coil``,
            ``stent``, ``gas``, ``contrast``, ``metal``.
        organs: all organs it is said of, ``liver`` among them or not; empty when none is named.
        state: how it stands.
        confidence: that kind, organ and state were read rightly, 0 to 1; a judgement, see the reference page.
        section: ``history``, ``technique``, ``comparison``, ``findings``, ``impression``, ``advice`` or empty.
        words: the mention first, then every cue that had a part in the answer.
        number, sizes, sites, patterns, hosts, density_hu, change: what is said of it.
    """

    kind: str
    organs: tuple[str, ...]
    state: State
    confidence: float
    section: str
    words: tuple[Words, ...]
    number: Number | None = None
    sizes: tuple[Size, ...] = ()
    sites: tuple[Site, ...] = ()
    patterns: tuple[tuple[str, Words], ...] = ()
    hosts: tuple[tuple[str, Words], ...] = ()
    density_hu: tuple[float, Words] | None = None
    change: Change | None = None

    @property
    def in_liver(self) -> bool:
        """Whether it is said of the liver."""
        return "liver" in self.organs


@dataclass(frozen=True, slots=True)
class ReportFindings:
    """A report, read.

    Args:
        language: ``en``, ``zh`` or ``mixed``.
        modality: as in the patient file (``ultrasound``, ``ct_non_contrast``, ...), or why there is none.
        liver_calcification: the answer; ``yes`` is stated as there now, certain or probable.
        confidence: in that answer.
        mentions: in the order of the text.
        advice: recommendations.
        normal_liver: words that call the liver normal, where there are.
    """

    language: str
    modality: str | NotMeasured
    modality_words: Words | None
    liver_calcification: Answer
    confidence: float
    mentions: tuple[Mention, ...]
    advice: tuple[Advice, ...]
    normal_liver: Words | None

    @property
    def liver_mentions(self) -> tuple[Mention, ...]:
        """The mentions that the answer rests on."""
        return tuple(m for m in self.mentions if m.in_liver and m.kind in ("calcification", "bright_echo", "dense"))

    @property
    def asserted(self) -> bool:
        """Whether calcification of the liver is stated as there now, for certain or probably."""
        return self.liver_calcification == "yes"
