"""What is known of one patient or one lesion, as weights over the states of each block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import UsageError
from hepacalc.reason.records import By

__all__ = ["Evidence", "Said"]

Floats = NDArray[np.float64]
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Said:
    """What was said about a block, in words, and by whom."""

    text: str
    by: By


@dataclass(frozen=True, eq=False)
class Evidence:
    """Weights over the states of the blocks that say something.

    The evidence of a block is ``P(evidence | cause) = sum over states of weight * P(state | cause)``: 1 for what is
    seen, 0 for what is ruled out, in between for doubt. Only their ratios matter. A block that is not there, or whose
    weights are all alike, is not known and changes nothing; not asked, not visible and absent are three things.

    Args:
        network: ``adult`` or ``fetal``.
        weights: block id to an array ``(states,)``, in the order of the block's states (lesion: host x morphology
            flattened in C order). Finite, not negative, not all zero. Copied, scaled to a greatest weight of 1 and made
            read-only; what is under 1e-12 then is 0.
        said: block id to what was said about it; kept for the explanation, not used for the probabilities.
        setting: id of the setting whose prior applies; may be left to the call.

    Raises:
        UsageError: weights that are not of this kind.
    """

    network: str
    weights: Mapping[str, Floats] = field(default_factory=dict)
    said: Mapping[str, tuple[Said, ...]] = field(default_factory=dict)
    setting: str | None = None

    def __post_init__(self) -> None:
        checked = {block: _checked(block, weights) for block, weights in self.weights.items()}
        object.__setattr__(self, "weights", MappingProxyType(checked))
        object.__setattr__(self, "said", MappingProxyType({block: tuple(said) for block, said in self.said.items()}))

    def joined(self, other: Evidence) -> Evidence:
        """Return both together; weights of a block that both know are multiplied.

        Two statements on one block count as two independent ones: leave out the weaker where they rest on the same
        look at the same thing.

        Raises:
            UsageError: another network or setting, or two statements that contradict each other.
        """
        if other.network != self.network:
            raise UsageError(
                f"Wanted evidence of one network, found {self.network} and {other.network}.",
                hint="A fetus and an adult are assessed apart.",
            )
        if self.setting is not None and other.setting is not None and self.setting != other.setting:
            raise UsageError(
                f"Wanted one setting, found {self.setting} and {other.setting}.", hint="Give the same, or only one."
            )
        weights = dict(self.weights)
        for block, more in other.weights.items():
            have = weights.get(block)
            if have is not None and have.shape != more.shape:
                raise UsageError(
                    f"Wanted {len(have)} weights for the block {block}, found {len(more)}.", hint="One for each state."
                )
            product = more if have is None else have * more
            if not product.any():
                raise UsageError(
                    f"Wanted statements on {block} that can be true together, found ones that rule each other out.",
                    hint="Take one of them out, or mark it as overruled.",
                )
            weights[block] = product
        said = dict(self.said)
        for block, words in other.said.items():
            said[block] = (*said.get(block, ()), *words)
        return Evidence(self.network, weights, said, self.setting if self.setting is not None else other.setting)

    def without(self, block: str) -> Evidence:
        """Return the same with one block not known."""
        weights = {b: w for b, w in self.weights.items() if b != block}
        said = {b: s for b, s in self.said.items() if b != block}
        return Evidence(self.network, weights, said, self.setting)


def _checked(block: str, weights: Floats) -> Floats:
    """Return a read-only float64 copy with a greatest weight of 1, or refuse."""
    array = np.array(weights, np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all() or (array < 0).any() or not array.any():
        raise UsageError(
            f"Wanted one weight for each state of the block {block}, finite, not negative, not all zero; found "
            f"shape {array.shape}, {int((~np.isfinite(array)).sum())} not finite, {int((array < 0).sum())} negative.",
            hint="1 for what is seen, 0 for what is ruled out; leave a block out that is not known.",
        )
    array /= array.max()
    array[array < TINY] = 0.0
    array.setflags(write=False)
    return array
