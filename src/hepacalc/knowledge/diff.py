"""What an edit changes: the numbers that differ, and what that does to the reference cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hepacalc.knowledge.model import Knowledge

__all__ = ["Difference", "Moved", "changed_numbers", "diff_text"]

LEAST = 5e-4
"""A share that moves by less is not listed."""
SHOWN = 60


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same: where, and how it was and is in words."""

    where: str
    before: str
    after: str


@dataclass(frozen=True)
class Moved:
    """What an edit does to one case.

    ``cause``: the one that should come first ("" if none is stated). ``rank`` starts at 1. ``shift``: the largest
    change of any cause's probability, which is that of ``shifted``.
    """

    case: str
    setting: str
    cause: str
    first_before: str
    first_after: str
    rank_before: int
    rank_after: int
    p_before: float
    p_after: float
    shifted: str
    shift: float


def changed_numbers(before: Knowledge, after: Knowledge) -> list[Difference]:
    """Return every share, threshold, choice and sentence that differs."""
    return [
        *_causes(before, after),
        *_priors(before, after),
        *_plain("threshold", _thresholds(before), _thresholds(after)),
        *_plain("guideline", _chosen(before), _chosen(after)),
        *_plain("red flag", _reprs(before.redflags), _reprs(after.redflags)),
        *_plain("rule", _reprs(before.rules), _reprs(after.rules)),
        *_plain("test", _reprs(before.tests), _reprs(after.tests)),
        *_plain("source", _reprs(before.sources), _reprs(after.sources)),
    ]


def _causes(before: Knowledge, after: Knowledge) -> Iterator[Difference]:
    for key, block in after.blocks.items():
        if key not in before.blocks or before.blocks[key].states != block.states:
            yield Difference(f"block {key}", "other states", "")
    for network, table in after.networks.items():
        old = before.networks[network]
        for place, cause in enumerate(table.cause_ids):
            if cause not in old.cause_ids:
                yield Difference(f"cause {cause}", "not there", "new")
                continue
            row = old.cause_ids.index(cause)
            for key, alpha in table.alpha.items():
                block = after.blocks[key]
                if key not in old.alpha or before.blocks[key].states != block.states:
                    continue
                was, now = old.alpha[key][row], alpha[place]
                p, q = was / was.sum(), now / now.sum()
                for k in np.flatnonzero(np.abs(q - p) >= LEAST):
                    yield Difference(f"{cause}.{key}.{block.states[k]}", f"{p[k]:.4f}", f"{q[k]:.4f}")
                if abs(was.sum() - now.sum()) > 1e-6 * was.sum():
                    where = f"{cause}.{key} weighs as so many patients"
                    yield Difference(where, f"{was.sum():.4g}", f"{now.sum():.4g}")
            if _words(before, cause) != _words(after, cause):
                yield Difference(f"cause {cause}", "", "its words, tests, counts or sources changed")


def _words(knowledge: Knowledge, cause: str) -> str:
    """All of a cause that is not an array."""
    item = knowledge.causes[cause]
    said = {key: (one.sources, one.status, one.counts, one.note) for key, one in item.findings.items()}
    return f"{_reprs({cause: item})} {said}"


def _priors(before: Knowledge, after: Knowledge) -> Iterator[Difference]:
    for key, setting in after.settings.items():
        if key not in before.settings:
            yield Difference(f"setting {key}", "not there", "new")
            continue
        old = before.settings[key].prior
        factors = {
            cause: round(share.share / old[cause].share, 6)
            for cause, share in setting.prior.items()
            if cause in old and share.ess == old[cause].ess
        }
        together = {factor: count for factor, count in Counter(factors.values()).items() if count > 2 and factor != 1}
        for cause, share in setting.prior.items():
            if factors.get(cause) == 1 or factors.get(cause) in together:
                continue
            was = old.get(cause)
            told = f"{was.share:.3g} (ess {was.ess:g})" if was else "none"
            yield Difference(f"prior {key}.{cause}", told, f"{share.share:.3g} (ess {share.ess:g})")
        for factor, count in together.items():
            yield Difference(f"prior {key}, {count} others of its causes", "as they were", f"times {factor:.4g}")


def _thresholds(knowledge: Knowledge) -> dict[str, str]:
    return {key: f"{item.value:g} {item.unit}" for key, item in knowledge.thresholds.items()}


def _chosen(knowledge: Knowledge) -> dict[str, str]:
    return {key: item.chosen for key, item in knowledge.guidelines.items()}


def _reprs(items: Mapping[str, object]) -> dict[str, str]:
    """Text of each record, without its arrays, which are compared as numbers."""
    return {
        key: repr({name: value for name, value in vars(item).items() if name != "findings"})
        for key, item in items.items()
    }


def _plain(kind: str, before: dict[str, str], after: dict[str, str]) -> Iterator[Difference]:
    for key in {**before, **after}:
        if before.get(key) != after.get(key):
            was, now = before.get(key, "not there"), after.get(key, "not there")
            long = len(was) > 60 or len(now) > 60
            yield Difference(f"{kind} {key}", "" if long else was, "changed" if long else now)


def diff_text(
    differences: Sequence[Difference], moved: Sequence[Moved], new: Sequence[Moved] = (), *, least: float = 0.01
) -> str:
    """Return the comparison as text for a terminal.

    Args:
        differences: see :func:`changed_numbers`.
        moved: all cases, moved or not.
        new: cases of causes that were not there before.
        least: cases in which no probability moves by so much are only counted.
    """
    lines = [f"{len(differences)} numbers, choices or texts differ"]
    for item in differences[:SHOWN]:
        lines.append(
            f"  {item.where}: {item.before} -> {item.after}" if item.before else f"  {item.where}: {item.after}"
        )
    if len(differences) > SHOWN:
        lines.append(f"  ... and {len(differences) - SHOWN} more")
    shown = sorted((case for case in moved if abs(case.shift) >= least), key=lambda case: -abs(case.shift))
    lines += ["", f"{len(shown)} of {len(moved)} reference cases move by {100 * least:g} points or more"]
    for case in shown[:SHOWN]:
        lines.append(
            f"  {case.case} ({case.setting}): {case.shifted} {100 * case.shift:+.1f} points; "
            f"{case.cause or 'first'} {100 * case.p_before:.1f} % -> {100 * case.p_after:.1f} %"
            + (f", rank {case.rank_before} -> {case.rank_after}" if case.rank_before != case.rank_after else "")
            + (f"; first {case.first_before} -> {case.first_after}" if case.first_before != case.first_after else "")
        )
    stated = [case for case in moved if case.cause]
    if stated:
        for most in (1, 3):
            was = sum(case.rank_before <= most for case in stated)
            now = sum(case.rank_after <= most for case in stated)
            lines.append(f"right cause in the first {most}: {was} -> {now} of {len(stated)}")
    for case in new:
        lines.append(
            f"new: {case.case} ({case.setting}): {case.cause} {100 * case.p_after:.1f} %, rank {case.rank_after}"
            + ("" if case.rank_after == 1 else f"; first {case.first_after}")
        )
    return "\n".join(lines)
