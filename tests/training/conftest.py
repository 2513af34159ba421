"""What the tests of the training share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from bodies import small_body
from training.disease import Scene
from training.geometry import anchors_of, draw_positions, take
from training.prepare import Source


@pytest.fixture(scope="session")
def source() -> Source:
    return small_body()


@pytest.fixture(scope="session")
def plain(source: Source) -> Callable[[int], Scene]:
    """Make a healthy sample of the small body from a seed; always one with liver in it."""
    anchors = anchors_of(source)
    made: dict[int, Scene] = {}

    def make(seed: int) -> Scene:
        rng = np.random.default_rng(seed)
        while seed not in made:
            scene = Scene(*take(source, draw_positions(rng, anchors)))
            if np.count_nonzero(scene.liver > 0.9) > 300:
                made[seed] = scene
        kept = made[seed]
        return Scene(kept.hu.copy(), kept.labels.copy(), kept.liver.copy())

    return make
