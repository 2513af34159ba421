"""Numbers with a plain meaning that tell one pattern of calcification from another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.foci._shape_line import Features, arch_features, line_features
from hepacalc.foci.shape import SKIN, Body, Shape, describe_shape, directions, hull_volume, outline, support

__all__ = ["FEATURES", "Features", "shape_features"]

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

FEATURES: dict[str, str] = {
    "log_size": "log of the largest diameter in mm",
    "log_sharp": "log of the diameter in mm corrected for the slice thickness",
    "blur": "slice thickness over the largest diameter",
    "broad": "second diameter over the first",
    "flat": "third diameter over the first",
    "spread_2": "second over first standard deviation of the voxels (principal axes)",
    "spread_3": "third over first standard deviation of the voxels",
    "skew": "asymmetry along the first principal axis",
    "solid": "volume over the volume of the convex hull",
    "sphericity": "sphericity",
    "log_wall": "log of the mean thickness in mm",
    "wall_share": "mean thickness over the largest diameter",
    "thickest": "largest inner ball over the largest diameter",
    "uneven": "largest inner ball over the mean thickness",
    "enclosed": "share of the filled faint body that is closed off from outside",
    "ball_radius": "radius of the best sphere over the largest diameter",
    "ball_misfit": "residual of the best sphere over its radius",
    "cover": "share of directions from the centre in which there is calcium",
    "cover_faint": "the same for the faint body",
    "inner": "share of the inner half of the best sphere that is filled",
    "core": "filled share within a quarter of the reach from the centre of mass",
    "middle": "filled share at a quarter to a half of the reach",
    "outer": "filled share at half to three quarters of the reach",
    "tip": "filled share beyond three quarters of the reach",
    "arms": "log of the number of pieces cut by a sphere at half the reach",
    "parts": "log of the number of parts",
    "largest_part": "share of the largest part",
    "part_line": "elongation of the parts, weighted by volume",
    "tunnels": "log of (1 + number of tunnels through the faint body)",
    "leaves": "log of the number of free ends",
    "forks": "log of (1 + number of forks)",
    "bend": "largest distance of the centre line from its chord, over the chord",
    "length": "length of the centre line over the largest diameter",
    "taper": "how much thicker one end is than the other, log ratio",
    "arch": "height of the parabola through the body over its length",
    "band": "how much broader than thick it is about that parabola",
    "slim": "breadth about that parabola over the length",
    "off_centre": "distance of the brightest spot from the middle of the body over the largest diameter",
    "inner_arms": "log of the number of pieces of the faint body at a third of the reach from the brightest spot",
    "fade": "log of mean brightness within a third of the reach of the faint body over that between one and two thirds",
    "gather": "brightness-weighted spread of the faint body over its reach",
    "grain": "standard deviation of brightness in the body",
    "peaks": "log of the number of local maxima of brightness, 1.3 mm apart or more",
    "peak_density": "bright spots for each cube of twice the resolution in the hull, log",
    "faint_size": "log of the diameter of the faint body over that of the body",
    "faint_volume": "log of its volume over that of the body",
    "faint_solid": "volume of the faint body over that of its convex hull",
    "faint_skew": "asymmetry of the faint body along its first principal axis",
    "faint_spread_2": "second over first standard deviation of the faint body",
    "faint_spread_3": "third over first standard deviation of the faint body",
    "faint_arms": "as arms, for the faint body",
    "faint_leaves": "as leaves, for the faint body",
    "faint_forks": "as forks, for the faint body",
    "faint_bend": "as bend, for the faint body",
    "faint_taper": "as taper, for the faint body",
    "depth_known": "whether the distance to the capsule is known",
    "near_capsule": "how near the capsule the body lies on average, 1 at it, 0 far away",
    "along_capsule": "how near the capsule its deepest tenth lies",
}
"""Name and meaning of each feature."""

_HALF = directions(160)
_WAYS = np.concatenate([directions(160), -directions(160)])


def shape_features(
    body: Body, *, depth_mm: NDArray[np.float32] | None, thickness_mm: float, shape: Shape | None = None
) -> Features:
    """Return every feature of :data:`FEATURES` for a body.

    Args:
        body: one focus, or the foci of a lesion together.
        depth_mm: distance below the liver capsule ``(z, y, x)`` on the body's grid, or None.
        thickness_mm: slice thickness.
        shape: of the body, where it is known already.
    """
    known = describe_shape(body) if shape is None else shape
    step, size = body.step_mm, known.diameter_mm
    points = np.argwhere(body.mask).astype(float)
    if len(points) > 12_000:
        points = points[:: len(points) // 12_000 + 1]
    out: Features = {
        "log_size": float(np.log(size)),
        "log_sharp": float(np.log(np.sqrt(max(size**2 - 0.5 * thickness_mm**2, 0.25 * size**2)))),
        "blur": min(thickness_mm / size, 1.5),
        "broad": known.diameter_2_mm / size,
        "flat": known.diameter_3_mm / size,
        "solid": 1 - known.hollowness,
        "sphericity": known.sphericity,
    }
    out |= _spread(points)
    out |= _thickness(body.mask, step, size)
    out |= _ball(body, points, size / step)
    out |= _radial(body.mask, points)
    out |= _parts(body.mask)
    out |= _topology(body.faint)
    out |= line_features(body.mask, size / step)
    out |= arch_features(points)
    out |= _hub(body, points, size / step)
    out |= _faint(body, size)
    hull = known.volume_mm3 / max(1 - known.hollowness, 0.02)
    out |= _brightness(body, hull)
    out |= _capsule(body, depth_mm)
    return out


def _faint(body: Body, size: float) -> Features:
    """The faint body beside the body: thin arms and tails show in it first."""
    edge = outline(body.faint)
    points = np.argwhere(body.faint).astype(float)
    if len(points) > 12_000:
        points = points[:: len(points) // 12_000 + 1]
    most, least, extent = support(edge, _HALF)
    hull = hull_volume(np.concatenate([edge[most], edge[least]]))
    volume = float(body.faint.sum())
    spread, line = _spread(points), line_features(body.faint, size / body.step_mm)
    return {
        "faint_size": float(np.log((extent.max() + 2 * SKIN) * body.step_mm / size)),
        "faint_volume": float(np.log(volume / body.mask.sum())),
        "faint_solid": min(volume / max(hull, 1.0), 1.0),
        "faint_arms": _radial(body.faint, points)["arms"],
        **{f"faint_{name}": spread[name] for name in ("skew", "spread_2", "spread_3")},
        **{f"faint_{name}": line[name] for name in ("leaves", "forks", "bend", "taper")},
    }


def _spread(points: F64) -> Features:
    """Principal axes of the voxels."""
    centred = points - points.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred / len(points) + np.eye(3) / 12)
    sd = np.sqrt(np.maximum(values[::-1], 1e-6))
    along = centred @ axes[:, -1]
    skew = abs(float((along**3).mean())) / (float((along**2).mean()) ** 1.5 + 1e-6)
    return {"spread_2": float(sd[1] / sd[0]), "spread_3": float(sd[2] / sd[0]), "skew": min(skew, 2.0)}


def _thickness(mask: Mask, step: float, size: float) -> Features:
    """Thickness from the distance to the outside: its mean in a plate is a quarter of the plate's thickness."""
    inner = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1, 1:-1][mask] - 0.5 + 0.25
    wall = 4 * float(inner.mean()) * step
    largest = 2 * float(inner.max()) * step
    return {
        "log_wall": float(np.log(wall)),
        "wall_share": wall / size,
        "thickest": largest / size,
        "uneven": largest / wall,
    }


def _ball(body: Body, points: F64, size: float) -> Features:
    """Least-squares sphere through the body, and what of it is covered."""
    design = np.column_stack([2 * points, np.ones(len(points))])
    target = (points**2).sum(axis=1)
    solution = np.linalg.solve(design.T @ design + 1e-6 * np.eye(4), design.T @ target)
    centre = solution[:3]
    radius = float(np.sqrt(max(float(solution[3] + centre @ centre), 0.25)))
    gap = np.linalg.norm(points - centre, axis=1)
    misfit = float(np.sqrt(((gap - radius) ** 2).mean())) / radius
    if radius > 1.5 * size:
        return {"ball_radius": 1.5, "ball_misfit": misfit, "cover": 0.0, "cover_faint": 0.0, "inner": 0.0}
    shells = radius * np.arange(0.6, 1.45, 0.08)
    rays = centre + shells[:, None, None] * _WAYS
    ball = centre + radius * np.concatenate([0.15 * _WAYS[::8], 0.35 * _WAYS[::4], 0.5 * _WAYS[::2]])
    return {
        "ball_radius": radius / size,
        "ball_misfit": misfit,
        "cover": float(_look(body.mask, rays).any(axis=0).mean()),
        "cover_faint": float(_look(body.faint, rays).any(axis=0).mean()),
        "inner": float(_look(body.mask, ball).mean()),
    }


def _look(mask: Mask, where: F64) -> Mask:
    """Return the mask at the voxels nearest to some positions; False outside."""
    index = np.rint(where).astype(np.intp)
    valid = ((index >= 0) & (index < mask.shape)).all(axis=-1)
    index[~valid] = 0
    return np.asarray(mask[index[..., 0], index[..., 1], index[..., 2]] & valid)


def _radial(mask: Mask, points: F64) -> Features:
    """How full the body is at several distances from its centre of mass, and into how many arms it goes out."""
    centre = points.mean(axis=0)
    gap = np.linalg.norm(points - centre, axis=1)
    reach = float(np.quantile(gap, 0.98)) + 0.5
    names = ("core", "middle", "outer", "tip")
    out: Features = {}
    for k, name in enumerate(names):
        rays = centre + reach * (k / 4 + np.array([0.07, 0.18]))[:, None, None] * _WAYS
        out[name] = float(_look(mask, rays).mean())
    out["arms"] = _arms(mask, centre, 0.5 * reach)
    return out


def _arms(mask: Mask, centre: F64, radius: float) -> float:
    """Return the log of the number of pieces that a thick sphere about a centre cuts out of a mask."""
    half = int(np.ceil(1.3 * radius + 1))
    box = tuple(slice(max(int(c) - half, 0), int(c) + half + 2) for c in centre)
    part = mask[box]
    lines = [np.arange(b.start, b.start + n) - c for b, n, c in zip(box, part.shape, centre, strict=True)]
    away = np.sqrt(lines[0][:, None, None] ** 2 + lines[1][:, None] ** 2 + lines[2] ** 2)
    labels, count = ndimage.label(part & (np.abs(away - radius) < max(0.24 * radius, 0.8)), np.ones((3, 3, 3)))
    if count == 0:
        return 0.0
    sizes = np.bincount(labels.ravel())[1:]
    return float(np.log1p((sizes >= max(2, 0.02 * sizes.sum())).sum()))


def _parts(mask: Mask) -> Features:
    """Number, size and elongation of the connected parts."""
    labels, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())[1:]
    real = sizes >= max(2, 0.01 * sizes.sum())
    lines = []
    for n in np.argsort(-sizes)[:12]:
        part = np.argwhere(labels == n + 1).astype(float)
        centred = part - part.mean(axis=0)
        values = np.linalg.eigvalsh(centred.T @ centred / len(part) + np.eye(3) / 12)
        lines.append((float(sizes[n]), 1 - float(np.sqrt(max(values[1], 1e-6) / values[2]))))
    weight = sum(s for s, _ in lines)
    return {
        "parts": float(np.log(max(int(real.sum()), 1))),
        "largest_part": float(sizes.max() / sizes.sum()),
        "part_line": sum(s * e for s, e in lines) / weight,
    }


def _topology(faint: Mask) -> Features:
    """Tunnels and closed-off cavities of the faint body (Euler number of the cubical complex)."""
    wide = np.pad(faint, 1)
    filled = ndimage.binary_fill_holes(wide)
    cavity = filled & ~wide
    holes = ndimage.label(cavity)[1]
    parts = ndimage.label(wide, np.ones((3, 3, 3)))[1]
    # cells of the closed complex: cubes, faces, edges, corners
    euler = -int(wide.sum())
    for axes, sign in (((0,), 1), ((1,), 1), ((2,), 1), ((0, 1), -1), ((0, 2), -1), ((1, 2), -1), ((0, 1, 2), 1)):
        cell = wide
        for axis in axes:
            first, second = [slice(None)] * 3, [slice(None)] * 3
            first[axis], second[axis] = slice(None, -1), slice(1, None)
            cell = cell[tuple(first)] | cell[tuple(second)]
        euler += sign * int(cell.sum())
    tunnels = max(parts + holes - euler, 0)
    return {"tunnels": float(np.log1p(tunnels)), "enclosed": float(cavity.sum() / max(filled.sum(), 1))}


def _hub(body: Body, points: F64, size: float) -> Features:
    """Where the brightest spot lies, how many arms leave it, and how fast brightness falls off around the middle."""
    soft = ndimage.gaussian_filter(np.where(body.faint, body.relative, 0), 1.2 / body.step_mm, truncate=2.5)
    hub = np.array(np.unravel_index(int(np.argmax(soft)), soft.shape), float)
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    reach = float(np.quantile(np.linalg.norm(points - hub, axis=1), 0.98)) + 0.5
    where = np.argwhere(body.faint)
    weight = np.clip(body.relative[body.faint], 0, 1.2)
    centre = weight @ where / weight.sum()
    gap = np.linalg.norm(where - centre, axis=1)
    wide = float(np.quantile(gap, 0.98)) + 0.5
    light = []
    for low in (0.05, 0.4):
        rays = centre + wide * (low + np.array([0.0, 0.12, 0.25]))[:, None, None] * _WAYS
        index = np.clip(np.rint(rays), 0, np.array(body.mask.shape) - 1).astype(np.intp)
        light.append(float(np.clip(body.relative[index[..., 0], index[..., 1], index[..., 2]], 0, 1.2).mean()) + 0.02)
    return {
        "off_centre": float(np.linalg.norm(hub - middle)) / size,
        "inner_arms": _arms(body.faint, hub, max(reach / 3, 2.0)),
        "fade": float(np.log(light[0] / light[1])),
        "gather": float(np.sqrt(weight @ gap**2 / weight.sum())) / wide,
    }


def _brightness(body: Body, hull_mm3: float) -> Features:
    """Evenness of the body and number of separate bright spots."""
    values = body.relative[body.mask]
    grain = float(np.clip(values, 0, 1.3).std())
    reach = 2 * max(round(1.3 / body.step_mm), 1) + 1
    soft = body.relative
    tops = body.mask & (soft >= ndimage.maximum_filter(soft, size=reach))
    labels, _ = ndimage.label(tops)
    count = max(int(labels.max()), 1)
    return {
        "grain": grain,
        "peaks": float(np.log(count)),
        "peak_density": float(np.log(count * 27.0 / max(hull_mm3, 27.0))),
    }


def _capsule(body: Body, depth_mm: NDArray[np.float32] | None) -> Features:
    if depth_mm is None:
        return {"depth_known": 0.0, "near_capsule": 0.0, "along_capsule": 0.0}
    values = np.maximum(depth_mm[body.mask], 0)
    mean, deep = float(values.mean()), float(np.quantile(values, 0.9))
    return {
        "depth_known": 1.0,
        "near_capsule": float(np.exp(-mean / 4.0)),
        "along_capsule": float(np.exp(-deep / 6.0)),
    }
