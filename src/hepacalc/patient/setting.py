"""Which setting's prior applies, derived from the patient by the rules of ``settings.yaml``, and why.

A condition on something unknown is not met, and its ``not`` is not met either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hepacalc.errors import InvalidPatient, KnowledgeError
from hepacalc.knowledge.model import Condition, Knowledge
from hepacalc.reason.situation import FactValue

__all__ = ["SettingChoice", "choose_setting", "holds"]


@dataclass(frozen=True, slots=True)
class SettingChoice:
    """The setting and why it was taken.

    Args:
        id: of ``settings.yaml``.
        chosen_by: ``patient file`` when it was written there, else ``derived``.
        why: in words.
        also: other settings that would have applied, most special first.
    """

    id: str
    chosen_by: str
    why: str
    also: tuple[str, ...] = ()


def choose_setting(
    knowledge: Knowledge,
    network: str,
    explicit: str | None,
    facts: Mapping[str, FactValue],
    had: Mapping[str, Mapping[str, bool]],
) -> SettingChoice:
    """Return the setting of a patient.

    Args:
        knowledge: whose settings.
        network: ``adult`` or ``fetal``.
        explicit: what the patient file says; wins over what is derived.
        facts: what is known, by name; what is not there is unknown.
        had: for blocks whose states are facts: which were had and which denied.

    Raises:
        InvalidPatient: the patient file names no setting of this network.
        KnowledgeError: the knowledge base has no default setting for the network.
    """
    ours = [item for item in knowledge.settings.values() if item.network == network]
    apply = sorted(
        (item for item in ours if item.derived_from is not None and holds(item.derived_from, facts, had)),
        key=lambda item: item.rank,
    )
    default = [item for item in ours if item.derived_from is None]
    if not default:
        raise KnowledgeError(f"no default setting of the network {network}.", hint="One has derived_from: null.")
    order = [*apply, default[0]]
    if explicit is not None:
        if explicit not in {item.id for item in ours}:
            raise InvalidPatient(
                f"setting: no such setting of the network {network}.",
                hint=f"It has {', '.join(item.id for item in ours)}.",
            )
        also = tuple(item.id for item in apply if item.id != explicit)
        return SettingChoice(explicit, "patient file", "named in the patient file", also)
    first = order[0]
    why = first.why.get("en", "") if first.derived_from is not None else "no fact leads to a special setting"
    return SettingChoice(first.id, "derived", why, tuple(item.id for item in apply[1:]))


def holds(condition: Condition, facts: Mapping[str, FactValue], had: Mapping[str, Mapping[str, bool]]) -> bool | None:
    """Return whether a condition on facts and history holds; None when that is not known.

    Raises:
        KnowledgeError: it asks for something that a setting cannot depend on.
    """
    if condition.get("always"):
        return True
    if "all" in condition:
        parts = [holds(part, facts, had) for part in condition["all"]]
        return False if False in parts else None if None in parts else True
    if "any" in condition:
        parts = [holds(part, facts, had) for part in condition["any"]]
        return True if True in parts else None if None in parts else False
    if "not" in condition:
        part = holds(condition["not"], facts, had)
        return None if part is None else not part
    if "block" in condition and "states" in condition:
        answers = [had.get(condition["block"], {}).get(state) for state in condition["states"]]
        return True if True in answers else None if None in answers else False
    if "fact" in condition:
        return _compared(facts.get(condition["fact"]), condition)
    raise KnowledgeError(
        "a setting is derived from facts and from blocks of the history only.", hint="Correct derived_from."
    )


def _compared(value: FactValue | None, condition: Condition) -> bool | None:
    if value is None:
        return None
    tests: list[bool] = []
    if "is" in condition:
        wanted: Any = condition["is"]
        tests.append(value in wanted if isinstance(wanted, list) else value == wanted)
    for word in ("above", "below", "at_least", "at_most"):
        if word in condition:
            level = condition[word]
            if isinstance(level, str) or not isinstance(value, int | float):
                raise KnowledgeError(f"{condition['fact']} cannot be compared.", hint="Correct derived_from.")
            tests.append(
                {"above": value > level, "below": value < level, "at_least": value >= level, "at_most": value <= level}[
                    word
                ]
            )
    return all(tests)
