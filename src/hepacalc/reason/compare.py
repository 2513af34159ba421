"""What another knowledge base makes of the same cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import UsageError
from hepacalc.knowledge.diff import Moved
from hepacalc.reason.differential import posterior, setting_of
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.network import network_of
from hepacalc.reason.observe import observe

if TYPE_CHECKING:
    from hepacalc.knowledge.cases import ReferenceCase
    from hepacalc.knowledge.model import Knowledge

__all__ = ["ComparedCase", "case_evidence", "compare"]


class ComparedCase(NamedTuple):
    """A case to compare: its id, its evidence with a setting, and the cause that should come first ("" if open)."""

    id: str
    evidence: Evidence
    cause: str = ""


def case_evidence(cases: Iterable[ReferenceCase], knowledge: Knowledge) -> list[ComparedCase]:
    """Return reference cases as evidence; a case without a setting takes the one that no fact leads to."""
    default = {item.network: key for key, item in knowledge.settings.items() if item.derived_from is None}
    return [
        ComparedCase(
            case.id,
            observe(network_of(knowledge, case.network), case.findings, setting=case.setting or default[case.network]),
            case.cause,
        )
        for case in cases
    ]


def compare(
    cases: Sequence[ComparedCase],
    before: Knowledge,
    after: Knowledge,
    *,
    cases_after: Sequence[ComparedCase] | None = None,
) -> list[Moved]:
    """Return for each case what changes from one knowledge base to another.

    Args:
        cases: any evidence with its setting.
        before: one knowledge base.
        after: the other, with the same networks and causes.
        cases_after: the same cases in the states of ``after``, where its blocks are not those of ``before``.

    Raises:
        UsageError: a setting or block that one of them does not have.
    """
    moved = []
    for case, later in zip(cases, cases if cases_after is None else cases_after, strict=True):
        was, now = _posterior(case.evidence, before), _posterior(later.evidence, after)
        causes = list({**was, **now})
        shifts = [now.get(cause, 0.0) - was.get(cause, 0.0) for cause in causes]
        largest = int(np.abs(shifts).argmax())
        cause = case.cause or max(was, key=was.__getitem__)
        if cause not in was or cause not in now:
            raise UsageError(f"wanted the cause {cause} in both, found it in one.", hint="Compare the same causes.")
        moved.append(
            Moved(
                case=case.id, setting=case.evidence.setting or "", cause=case.cause,
                first_before=max(was, key=was.__getitem__), first_after=max(now, key=now.__getitem__),
                rank_before=_rank(was, cause), rank_after=_rank(now, cause), p_before=was[cause], p_after=now[cause],
                shifted=causes[largest], shift=float(shifts[largest]),
            )
        )  # fmt: skip
    return moved


def _posterior(evidence: Evidence, knowledge: Knowledge) -> dict[str, float]:
    network = network_of(knowledge, evidence.network)
    found: NDArray[np.float64] = posterior(evidence, network, setting_of(network, evidence, None))
    return dict(zip(network.cause_ids, found.tolist(), strict=True))


def _rank(found: Mapping[str, float], cause: str) -> int:
    return 1 + sum(p > found[cause] for p in found.values())
