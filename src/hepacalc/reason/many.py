"""The posterior of very many patients at once."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hepacalc.errors import UsageError
from hepacalc.reason.network import Network

__all__ = ["posterior_many"]

Floats = NDArray[np.float64]
Column = NDArray[np.integer[Any]] | NDArray[np.floating[Any]]


def posterior_many(
    network: Network,
    setting: str | NDArray[np.integer[Any]],
    findings: Mapping[str, Column],
    *,
    threads: int = 1,
    chunk: int = 4096,
    dtype: DTypeLike = np.float64,
) -> NDArray[np.floating[Any]]:
    """Return ``P(cause | evidence, setting)`` of n patients, shape ``(n, causes)``; each row sums to 1.

    Equal to :func:`hepacalc.reason.differential.posterior` patient by patient. Memory is that of the answer plus a
    few chunks.

    Args:
        network: tables.
        setting: id of the setting of all, or an index ``(n,)`` into ``network.setting_ids``.
        findings: block id to either one state index for each patient, integer ``(n,)``, -1 where it is not known
            (fast), or weights ``(n, states)`` (all ones where it is not known). Blocks left out are not known. A
            state that contradicts the setting's given facts says nothing.
        threads: chunks are worked on by so many threads.
        chunk: patients at a time.
        dtype: of the answer; float32 halves its memory.

    Raises:
        UsageError: shapes, states or settings that do not fit.
    """
    count = _count(network, setting, findings)
    out = np.empty((count, len(network.cause_ids)), dtype)
    # tables are built before the threads start
    places = network.setting_ids if not isinstance(setting, str) else (network.known_setting(setting),)
    for place in places:
        network.tables(place)

    def work(start: int) -> None:
        rows = slice(start, min(start + chunk, count))
        part = {block: column[rows] for block, column in findings.items()}
        if isinstance(setting, str):
            out[rows] = _chunk(network, setting, part, rows.stop - rows.start)
            return
        for place in np.unique(setting[rows]):
            mine = np.flatnonzero(setting[rows] == place)
            some = {block: column[mine] for block, column in part.items()}
            out[start + mine] = _chunk(network, network.setting_ids[place], some, len(mine))

    starts = range(0, count, chunk)
    if threads <= 1:
        for start in starts:
            work(start)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(work, starts):
                pass
    return out


def _chunk(network: Network, setting: str, findings: Mapping[str, Column], count: int) -> Floats:
    """Return the posterior of a few thousand patients of one setting."""
    tables = network.tables(setting)
    log_p = np.repeat(network.log_prior(setting)[None, :], count, axis=0)
    rows = np.empty_like(log_p)
    for block in network.states:
        if block not in findings:
            continue
        column, table = findings[block], tables[block]
        if column.ndim == 1:
            # -1 is the last row, which says nothing
            log_p += np.take(table.log_p, column.astype(np.intp), axis=0, out=rows, mode="wrap")
            continue
        weights = np.where(table.allowed, column, 0.0)
        top = weights.max(axis=1, keepdims=True)
        likelihood = np.matmul(weights / np.where(top > 0, top, 1.0), table.p, out=rows)
        likelihood[top[:, 0] == 0] = 1.0
        log_p += np.log(likelihood, out=likelihood)
    log_p -= log_p.max(axis=1, keepdims=True)
    np.exp(log_p, out=log_p)
    log_p /= log_p.sum(axis=1, keepdims=True)
    return log_p


def _count(network: Network, setting: str | NDArray[np.integer[Any]], findings: Mapping[str, Column]) -> int:
    """Check everything that came in; return the number of patients."""
    sizes = {len(column) for column in findings.values()}
    if not isinstance(setting, str):
        sizes.add(len(setting))
        if setting.ndim != 1 or (len(setting) and not 0 <= setting.min() <= setting.max() < len(network.prior)):
            raise UsageError(
                f"Wanted indices of settings from 0 to {len(network.prior) - 1}, found others.",
                hint=f"In the order {', '.join(network.setting_ids)}.",
            )
    if len(sizes) != 1:
        raise UsageError(
            f"Wanted columns of one length, found {', '.join(map(str, sorted(sizes))) or 'none'}.",
            hint="One row for each patient in every block.",
        )
    for block, column in findings.items():
        states = len(network.states.get(block, ()))
        if states == 0:
            raise UsageError(f"Wanted a block, found {block}.", hint=f"The network has {', '.join(network.states)}.")
        if column.ndim == 1 and np.issubdtype(column.dtype, np.integer):
            if len(column) and not -1 <= column.min() <= column.max() < states:
                raise UsageError(
                    f"Wanted states of {block} from 0 to {states - 1}, found {column.min()} to {column.max()}.",
                    hint="-1 where it is not known.",
                )
        elif column.shape != (len(column), states):
            raise UsageError(
                f"Wanted integers (n,) or weights (n, {states}) for {block}, found {column.dtype} {column.shape}.",
                hint="One state, or one weight for each state.",
            )
        else:
            wrong = ~(np.isfinite(column).all(axis=1) & (column >= 0).all(axis=1) & (column > 0).any(axis=1))
            if wrong.any():
                raise UsageError(
                    f"Wanted finite weights for {block}, not negative or all zero; found {wrong.sum()} other rows.",
                    hint="All ones where it is not known.",
                )
    return sizes.pop()
