"""Another exam of the same digital patient: another breath-hold, table height, weight, and foci that changed.

The body is moved by a known smooth map: organs and vessels are bent with it, calcium keeps its shape and only moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.phantom.fields import Field
from hepacalc.phantom.foci import PlacedFocus
from hepacalc.phantom.mimics import Mimics
from hepacalc.phantom.organs import Layer
from hepacalc.phantom.patient import Scene
from hepacalc.phantom.placement import Place
from hepacalc.phantom.vessels import LiverTrees

__all__ = ["Movement", "draw_movement", "moved"]

Points = NDArray[np.float64]
STEP_MM = 12.0
SHARED_STEP_MM = 3.5
LOW_MM, HIGH_MM = (-360.0, -200.0, -240.0), (120.0, 230.0, 240.0)


@dataclass(frozen=True, eq=False, slots=True)
class Movement:
    """A smooth map between two exams of one body; points are LPS mm as ``(z, y, x)``.

    Args:
        turn: ``(3, 3)`` rotation about ``centre``.
        centre: ``(z, y, x)``.
        shift: ``(z, y, x)``, added after the turn.
        bend: displacement along z, y and x on a coarse grid, on top.
    """

    turn: NDArray[np.float64]
    centre: NDArray[np.float64]
    shift: NDArray[np.float64]
    bend: tuple[Field, Field, Field]

    def back(self, points: Points) -> Points:
        """Return where points of the second exam lay in the first."""
        points = np.asarray(points, float)
        flat = points.reshape(-1, 3)
        bent = np.stack([one.at(flat) for one in self.bend], axis=1)
        out: Points = (flat - self.centre) @ self.turn.T + self.centre + self.shift + bent
        return out.reshape(points.shape)

    def forth(self, points: Points) -> Points:
        """Return where points of the first exam lie in the second, to 0.001 mm."""
        points = np.asarray(points, float)
        found = points - (self.back(points) - points)
        for _ in range(60):
            miss = self.back(found) - points
            if not miss.size or np.abs(miss).max() < 1e-3:
                break
            found = found - miss
        return found


def draw_movement(
    rng: np.random.Generator,
    *,
    breath_mm: float = 15.0,
    table_mm: float = 25.0,
    turn_degrees: float = 4.0,
    bend_mm: tuple[tuple[float, float], ...] = ((55.0, 4.0), (26.0, 1.5)),
) -> Movement:
    """Return what lies between two breath-holds of a patient who was laid on the table twice.

    The sizes are a judgement: a liver moves centimetres along the body with the breath and bends by millimetres.

    Args:
        rng: the only source of randomness.
        breath_mm: largest shift along the body.
        table_mm: largest change of the height of the table.
        turn_degrees: largest turn about each axis.
        bend_mm: ``(width, size)`` of each smooth bending, both as standard deviations in mm.
    """
    shape = tuple(int((high - low) // STEP_MM) + 2 for low, high in zip(LOW_MM, HIGH_MM, strict=True))
    bend = []
    for _ in range(3):
        total = np.zeros(shape, np.float32)
        for wide, size in bend_mm:
            noise = ndimage.gaussian_filter(rng.standard_normal(shape), wide / STEP_MM, mode="reflect")
            total += (size * noise / noise.std()).astype(np.float32)
        bend.append(Field(total, LOW_MM, STEP_MM))
    angles = np.deg2rad(rng.uniform(-turn_degrees, turn_degrees, 3))
    shift = np.array(
        [
            rng.uniform(-breath_mm, breath_mm),
            rng.uniform(-table_mm, table_mm),
            rng.uniform(-table_mm / 3, table_mm / 3),
        ]
    )
    return Movement(_turn(angles), np.array([-100.0, 8.0, -40.0]), shift, (bend[0], bend[1], bend[2]))


def _turn(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = (k for k in range(3) if k != axis)
        one = np.eye(3)
        one[a, a] = one[b, b] = np.cos(angle)
        one[a, b], one[b, a] = -np.sin(angle), np.sin(angle)
        out = one @ out
    return out


def moved(scene: Scene, movement: Movement, *, foci: Sequence[PlacedFocus] | None = None) -> Scene:
    """Return a scene as the body lies in the second exam.

    Args:
        scene: the patient, in the first exam's position.
        movement: where the body went.
        foci: what is there now, at places of the first exam; None: the scene's own.
    """
    anatomy = scene.anatomy
    trees = anatomy.trees
    move = _Mover(movement)
    body, liver, stomach = (move(f) for f in (anatomy.body, anatomy.liver, anatomy.stomach))
    gall = None if anatomy.gallbladder is None else move(anatomy.gallbladder)

    def layers(old: Sequence[Layer]) -> list[Layer]:
        return [replace(one, field=move(one.field)) for one in old]

    textures = tuple(move(one) for one in anatomy.textures)
    new = replace(
        anatomy, layers=tuple(layers(anatomy.layers)), body=body, liver=liver, gallbladder=gall, stomach=stomach,
        trees=LiverTrees(move(trees.portal), move(trees.hepatic), (), ()),
        textures=(textures[0], textures[1]), segments=None,
    )  # fmt: skip
    mimics = scene.mimics
    away = Mimics(
        layers(mimics.layers),
        [replace(item, centre_zyx=movement.forth(item.centre_zyx)) for item in mimics.items],
        [(movement.forth(centre), reach, strength) for centre, reach, strength in mimics.streaks],
        [replace(truth, centroid_mm=_lps(movement, truth.centroid_mm)) for truth in mimics.truths],
    )
    placed = tuple(
        replace(focus, place=Place(movement.forth(focus.place.centre_zyx), focus.place.rotation))
        for focus in (scene.foci if foci is None else foci)
    )
    return replace(scene, anatomy=new, mimics=away, foci=placed)


def _lps(movement: Movement, centroid_mm: tuple[float, float, float]) -> tuple[float, float, float]:
    z, y, x = (float(v) for v in movement.forth(np.array(centroid_mm[::-1])))
    return x, y, z


class _Mover:
    """Moves fields; those on one lattice (most organs) share the map of its points."""

    def __init__(self, movement: Movement) -> None:
        self._movement = movement
        self._known: dict[int, tuple[Field, Field]] = {}
        self._maps: dict[tuple[float, ...], tuple[NDArray[np.float64], NDArray[np.float32]]] = {}

    def __call__(self, field: Field) -> Field:
        """Return a field on a grid of its own where the body lies now; the same field for the same field."""
        if id(field) not in self._known:
            self._known[id(field)] = field, self._moved(field)
        return self._known[id(field)][1]

    def _moved(self, field: Field) -> Field:
        step, origin = field.step_mm, np.array(field.origin_mm)
        ends = origin + step * (np.array(field.values.shape) - 1)
        corners = np.stack(np.meshgrid(*zip(origin, ends, strict=True), indexing="ij"), -1).reshape(-1, 3)
        found = self._movement.forth(corners)
        first = np.floor((found.min(0) - origin) / step).astype(int) - 2
        size = np.ceil((found.max(0) - origin) / step).astype(int) + 3 - first
        index = (self._source(origin + first * step, size, step) - origin) / step
        values: NDArray[np.float32] = ndimage.map_coordinates(
            field.values, np.moveaxis(index, -1, 0), np.float32, order=1, mode="nearest"
        )
        z, y, x = (float(v) for v in origin + first * step)
        return Field(values, (z, y, x), step)

    def _source(self, start: NDArray[np.float64], size: NDArray[np.int_], step: float) -> NDArray[np.float32]:
        """Return where the points of a grid lay in the first exam, float32 ``(z, y, x, 3)``."""
        if step < SHARED_STEP_MM:
            return self._mapped(start, size, step)
        key = (step, *(float(v) for v in np.round(start % step, 3)))
        if key not in self._maps:
            low = start - step * np.ceil((start - np.array(LOW_MM) + 40) / step)
            count = np.ceil((np.array(HIGH_MM) + 40 - low) / step).astype(int) + 1
            self._maps[key] = low, self._mapped(low, count, step)
        low, every = self._maps[key]
        at = np.rint((start - low) / step).astype(int)
        if (at < 0).any() or (at + size > every.shape[:3]).any():
            return self._mapped(start, size, step)
        return every[at[0] : at[0] + size[0], at[1] : at[1] + size[1], at[2] : at[2] + size[2]]

    def _mapped(self, start: NDArray[np.float64], size: NDArray[np.int_], step: float) -> NDArray[np.float32]:
        lines = [s + step * np.arange(n) for s, n in zip(start, size, strict=True)]
        plane = np.stack(np.meshgrid(lines[1], lines[2], indexing="ij"), -1)
        out = np.empty((*size, 3), np.float32)
        for k, z in enumerate(lines[0]):
            out[k] = self._movement.back(np.concatenate([np.full((*plane.shape[:2], 1), z), plane], axis=-1))
        return out
