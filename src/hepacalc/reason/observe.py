"""From names of states to the weights of a block."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import UsageError
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.network import Network

__all__ = ["Seen", "observe", "state_weights"]

Seen = str | Mapping[str, float] | Mapping[str, str | Mapping[str, float]]
"""A state; or states with weights; or, of a block with axes, ``{axis: value or values with weights}``."""

Floats = NDArray[np.float64]


def state_weights(network: Network, block: str, seen: Seen) -> Floats:
    """Return the weights ``(states,)`` of one block.

    Args:
        network: whose block.
        block: id.
        seen: one state; or ``{state: weight}``, states that are not named are ruled out; or, for a block with axes,
            ``{axis: ...}`` with either of these for each axis, an axis that is not named is not known.

    Raises:
        UsageError: no such block, axis or state.
    """
    if block not in network.states:
        raise UsageError(f"Wanted a block, found {block}.", hint=f"The network has {', '.join(network.states)}.")
    axes = network.axes.get(block)
    if axes and isinstance(seen, Mapping) and set(seen) <= set(axes):
        parts = [
            _line(f"{block}.{axis}", values, seen.get(axis, dict.fromkeys(values, 1.0)))
            for axis, values in axes.items()
        ]
        out = parts[0]
        for part in parts[1:]:
            out = np.multiply.outer(out, part).ravel()
        return out
    return _line(block, network.states[block], seen)


def observe(network: Network, findings: Mapping[str, Seen], *, setting: str | None = None) -> Evidence:
    """Return evidence from names: ``observe(network, {"number": "single", "lesion": {"host": "cyst"}})``.

    Raises:
        UsageError: no such block, axis or state; nothing left that could be true.
    """
    weights = {block: state_weights(network, block, seen) for block, seen in findings.items()}
    return Evidence(network.name, weights, setting=setting)


def _line(what: str, names: tuple[str, ...], seen: object) -> Floats:
    """Weights along one list of names."""
    found = {seen: 1.0} if isinstance(seen, str) else dict(seen) if isinstance(seen, Mapping) else {}
    unknown = [str(name) for name in found if name not in names]
    if unknown or not found:
        raise UsageError(
            f"Wanted states of {what}, found {', '.join(unknown) or 'none'}.", hint=f"It has {', '.join(names)}."
        )
    return np.array([float(found.get(name, 0.0)) for name in names])
