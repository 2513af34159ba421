"""Statements on blocks, collected from all parts of a patient file and turned into evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import InvalidPatient, UsageError
from hepacalc.patient.several import several_weights
from hepacalc.patient.vocabulary import NONE_STATES
from hepacalc.reason.evidence import Evidence, Said
from hepacalc.reason.network import Network
from hepacalc.reason.observe import state_weights
from hepacalc.reason.records import By, Finding

__all__ = ["Answer", "Answers", "Statement", "evidence_of", "weights_of"]

Floats = NDArray[np.float64]
SHORT = 4
"""More denials than this are counted, not listed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of one state of a block whose states can be true together.

    Args:
        left: 1 when it is there, 0 when it was denied, in between for a negative that can miss it.
        text: in words.
        by: who said it.
    """

    left: float
    text: str
    by: By


@dataclass
class Answers:
    """Answers on the states of such blocks; a yes wins over a no, and the contradiction is told."""

    answers: dict[str, dict[str, list[Answer]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, block: str, state: str, left: float, text: str, by: By) -> None:
        """Take in one answer."""
        self.answers.setdefault(block, {}).setdefault(state, []).append(Answer(left, text, by))

    def said(self, block: str) -> dict[str, float]:
        """Return what is left of each state that was asked."""
        found = {}
        for state, answers in self.answers.get(block, {}).items():
            left = [answer.left for answer in answers]
            found[state] = 1.0 if max(left) >= 1 else min(left)
        return found

    def statements(self, network: Network, bases: Mapping[str, Floats]) -> list[Statement]:
        """Return one statement for each block.

        Args:
            network: whose blocks.
            bases: base rates of the states, by block.
        """
        found = []
        for block, by_state in sorted(self.answers.items()):
            none = NONE_STATES[block]
            states = network.states[block]
            weights = several_weights(states, bases[block], none, self.said(block))
            if weights is None:
                continue
            for state, answers in sorted(by_state.items()):
                if {answer.left >= 1 for answer in answers} == {True, False}:
                    self.warnings.append(
                        f"{block}, {state.replace('_', ' ')}: said to be there and not to be; taken as there"
                    )
            every = [answer for _, answers in sorted(by_state.items()) for answer in answers]
            found.append(Statement(block, weights, _told(every)))
        return found


def _told(answers: Iterable[Answer]) -> tuple[Said, ...]:
    """Those who said something, each with all that they said; what was denied last and short."""
    found: dict[By, tuple[list[str], list[str]]] = {}
    for answer in answers:
        found.setdefault(answer.by, ([], []))[answer.left < 1].append(answer.text)
    out = []
    for by, (had, denied) in sorted(found.items()):
        had, denied = sorted(set(had)), sorted(set(denied))
        if len(denied) > SHORT:
            denied = [f"{len(denied)} others: no"]
        out.append(Said("; ".join([*had, *denied]), by))
    return tuple(out)


@dataclass(frozen=True, eq=False)
class Statement:
    """Weights of one block, who said it, and of which lesion (from 1; None: the patient)."""

    block: str
    weights: Floats
    said: tuple[Said, ...]
    lesion: int | None = None
    used: bool = True

    def findings(self, network: Network) -> list[Finding]:
        """Return it as records of the report."""
        names = network.states[self.block]
        top = float(self.weights.max())
        weights = tuple((name, w / top) for name, w in zip(names, self.weights.tolist(), strict=True) if w > 0)
        return [Finding(self.block, weights, one.text, one.by, self.lesion, not self.used) for one in self.said]


def weights_of(network: Network, block: str, seen: object, where: str) -> Floats:
    """Return the weights ``(states,)`` of what was typed in for a block.

    Args:
        network: whose block.
        block: id.
        seen: states with weights, or ``{axis: states with weights}``.
        where: field of the patient file.

    Raises:
        InvalidPatient: no such block or state; the message names the field.
    """
    if block not in network.states:
        raise InvalidPatient(f"{where}: no such block.", hint=f"The network has {', '.join(network.states)}.")
    try:
        return state_weights(network, block, seen)  # type: ignore[arg-type]
    except UsageError as fault:
        raise InvalidPatient(f"{where}: no such state of {block}.", hint=fault.hint) from None


def evidence_of(network: str, statements: Iterable[Statement], setting: str | None) -> Evidence:
    """Return the statements that are used as evidence; each block has one."""
    weights, said = {}, {}
    for one in statements:
        if one.used and one.weights.min() < one.weights.max():
            weights[one.block] = one.weights
            said[one.block] = one.said
    return Evidence(network, weights, said, setting)
