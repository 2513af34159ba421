"""Weights of a block whose states can be true together: exposures, history, symptoms, markers, serology, organs.

The network has one variable for such a block, and its state is *the one that matters*. A person may have more than one.
Given that state ``k`` is the one that matters, the others are there by chance, with their base rates ``b``. So what was
said has the probability

* state ``none``: 0 when anything of the list was had, 1 when nothing was;
* state ``k`` that was denied: 0;
* state ``k`` that was had: the product of ``b`` over the *other* states that were had;
* state ``k`` that was not asked: the product of ``b`` over *all* states that were had.

(The chance of not having the denied ones is close to 1 and left out.) With one state had and the rest denied this is
the usual 1 and 0; with nothing had and some denied, 0 for these and 1 elsewhere; with nothing asked, 1 everywhere. With
two had, the likelihood ratio of a cause is the mean of what each would give alone. A state that was not asked keeps its
place: it may be there as well, it was not said to be absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["several_weights"]


def several_weights(
    states: Sequence[str], base: NDArray[np.float64], none: str, said: Mapping[str, float]
) -> NDArray[np.float64] | None:
    """Return weights ``(states,)``, greatest 1, or None when nothing was said.

    Args:
        states: of the block.
        base: how often each is met, shape ``(states,)``.
        none: the state that says that none of the others is there.
        said: for each state that was asked 1 when it is there, else what is left of it: 0 when it was denied, a little
            when a test was negative that can miss it. A state that is not named was not asked.
    """
    if not said:
        return None
    rate = dict(zip(states, base.tolist(), strict=True))
    had = [state for state, left in said.items() if left >= 1]
    weights = np.ones(len(states))
    for k, state in enumerate(states):
        if state == none:
            weights[k] = 0.0 if had else 1.0
            continue
        for other in had:
            if other != state:
                weights[k] *= rate[other]
        if state not in had:
            weights[k] *= said.get(state, 1.0)
    scaled: NDArray[np.float64] = weights / weights.max()
    return scaled
