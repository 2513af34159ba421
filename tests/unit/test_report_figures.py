"""Pictures: which way is up, where things lie, and outlines that close."""

import base64
import io
from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from PIL import Image

from hepacalc.geometry import Geometry
from hepacalc.report.contour import outline, path_data
from hepacalc.report.figures import BONE, FAINT, SOFT, Grey, lesion_pictures
from hepacalc.report.livermap import Mark, liver_maps, place_tags
from hepacalc.report.scene import AXIAL, CORONAL, PLANES, SAGITTAL, Scene, letters
from report_example import BALLS, make_example, upright

ORDERS = [(order, flips) for order in permutations(range(3)) for flips in product((False, True), repeat=3)]


def turned(order: tuple[int, ...], flips: tuple[bool, ...]) -> Geometry:
    """A grid whose array axes are a signed permutation of those of :func:`upright`."""
    base = upright((30, 60, 80), (4.0, 3.0, 3.0))
    shape = tuple(base.shape[k] for k in order)
    affine = np.eye(4)
    start = np.zeros(3)
    for new, (old, flip) in enumerate(zip(order, flips, strict=True)):
        affine[:3, new] = base.affine[:3, old] * (-1 if flip else 1)
        start[old] = base.shape[old] - 1 if flip else 0
    affine[:3, 3] = base.to_world(start)
    return Geometry((shape[0], shape[1], shape[2]), affine)


def pixels(grey: Grey) -> np.ndarray:
    assert grey.uri.startswith("data:image/png;base64,")
    image = Image.open(io.BytesIO(base64.b64decode(grey.uri.split(",", 1)[1])))
    assert image.mode == "L"
    return np.asarray(image)


@pytest.mark.parametrize(("order", "flips"), ORDERS)
def test_every_orientation_gives_the_same_pictures(order: tuple[int, ...], flips: tuple[bool, ...]) -> None:
    wanted = make_example(balls=BALLS[:1], geometry=turned((0, 1, 2), (False, False, False)))
    found = make_example(balls=BALLS[:1], geometry=turned(order, flips))
    for a, b in zip(_all_pictures(wanted), _all_pictures(found), strict=True):
        assert a.letters == b.letters
        assert a.grey.uri == b.grey.uri
        assert (a.focus, a.liver, a.ticks, a.number) == (b.focus, b.liver, b.ticks, b.number)
        assert a.position_mm == pytest.approx(b.position_mm)


def _all_pictures(scan):  # type: ignore[no-untyped-def]
    near, wide = lesion_pictures(scan, Scene.of(scan), scan.lesions[0])
    return near + wide


def test_pictures_are_radiological() -> None:
    grid = upright()
    assert letters(grid, AXIAL) == ("A", "P", "R", "L")
    assert letters(grid, CORONAL) == ("H", "F", "R", "L")
    assert letters(grid, SAGITTAL) == ("H", "F", "A", "P")


def test_oblique_slices_get_two_letters() -> None:
    turn = np.deg2rad(30)
    affine = upright().affine.copy()
    affine[:3, :3] = (
        np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]) @ affine[:3, :3]
    )
    top, bottom, left, right = letters(Geometry((60, 160, 200), affine), AXIAL)
    assert {top, bottom, left, right} == {"AL", "PR", "RA", "LP"}


@pytest.mark.parametrize(("plane", "row"), [(AXIAL, 1), (CORONAL, 0), (SAGITTAL, 0)])
def test_a_bright_mark_appears_on_the_side_where_it_is(plane, row: int) -> None:  # type: ignore[no-untyped-def]
    """A cube to the head, back and left of the focus is drawn there in each plane."""
    scan = make_example(balls=BALLS[:1])
    focus = scan.foci[0]
    z, y, x = focus.peak_index
    scan.volume.hu[z + 4 : z + 6, y + 7 : y + 11, x + 7 : x + 11] = 3000
    for axis, at in zip(range(3), focus.peak_index, strict=True):
        line = [slice(z + 4, z + 6), slice(y + 7, y + 11), slice(x + 7, x + 11)]
        line[axis] = slice(at - 1, at + 2)
        scan.volume.hu[tuple(line)] = 3000
    near, _ = lesion_pictures(scan, Scene.of(scan), scan.lesions[0])
    picture = next(p for p in near if p.plane == plane.name)
    image = pixels(picture.grey)
    bright = np.argwhere(image > 250).mean(axis=0) / image.shape
    assert bright[0] < 0.45 if row == 0 else bright[0] > 0.55, "the head is up, the back is down"
    assert bright[1] > 0.55, "left and back are on the right of the picture"


def test_the_focus_lies_in_the_middle_inside_its_outline() -> None:
    scan = make_example(balls=BALLS[:1])
    for picture in _all_pictures(scan):
        corners = [tuple(map(float, c.split())) for c in picture.focus.strip("MZ").split("L")]
        x, y = np.array(corners).T
        assert picture.ticks[0] == pytest.approx((x.min() + x.max()) / 2, abs=picture.width * 2 / picture.fov_mm)
        assert picture.ticks[1] == pytest.approx((y.min() + y.max()) / 2, abs=picture.height * 3 / picture.fov_mm)
        assert np.ptp(x) * picture.fov_mm / picture.width == pytest.approx(14, abs=3.1), "a ball of 14 mm"
        assert np.ptp(y) * picture.fov_mm / picture.width == pytest.approx(14, abs=3.1)


def test_anisotropic_voxels_are_shown_in_true_proportion() -> None:
    scan = make_example(
        balls=[((0.5, 0.45, 0.32), 12.0, 900.0, "calcification")], geometry=upright((36, 160, 200), (5.0, 1.5, 1.5))
    )
    near, _ = lesion_pictures(scan, Scene.of(scan), scan.lesions[0])
    coronal = pixels(near[1].grey) > 150
    high, wide = (np.flatnonzero(coronal.any(axis=1 - k)).size for k in range(2))
    assert high == pytest.approx(wide, rel=0.25)


def test_faint_foci_get_a_narrower_window() -> None:
    scan = make_example()
    assert lesion_pictures(scan, Scene.of(scan), scan.lesions[0])[0][0].window == BONE
    faint = next(le for le in scan.lesions if le.kind == "indeterminate")
    near, wide = lesion_pictures(scan, Scene.of(scan), faint)
    assert near[0].window == FAINT
    assert wide[0].window == SOFT


@pytest.mark.parametrize("shape", [(1, 160, 200), (60, 1, 200), (60, 160, 1), (2, 3, 4)])
def test_thin_volumes_have_pictures(shape: tuple[int, int, int]) -> None:
    scan = make_example(balls=[((0.5, 0.45, 0.4), 3.0, 700.0, "calcification")], geometry=upright(shape))
    for picture in _all_pictures(scan):
        assert picture.focus
        assert pixels(picture.grey).size > 0
        assert picture.number <= picture.count


def test_a_focus_at_the_corner_of_the_scan_has_pictures() -> None:
    scan = make_example(balls=[((0, 0, 0), 6.0, 700.0, "calcification"), ((1, 1, 1), 6.0, 700.0, "calcification")])
    scene = Scene.of(scan)
    for lesion in scan.lesions:
        for picture in sum(lesion_pictures(scan, scene, lesion), ()):
            assert picture.focus


def test_a_lesion_without_voxels_is_shown_at_its_centre() -> None:
    scan = make_example(balls=BALLS[:1])
    empty = replace(scan, labels=np.zeros_like(scan.labels), foci=())
    near, _ = lesion_pictures(empty, Scene.of(empty), empty.lesions[0])
    assert near[0].focus == ""
    assert near[0].position_mm == pytest.approx(empty.lesions[0].centroid_mm[2], abs=1.6)


def test_an_outline_is_closed_and_encloses_the_mask() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        mask = rng.random((14, 17)) < 0.5
        loops = outline(mask)
        area = sum(_area(loop) for loop in loops)
        crossings = np.zeros(mask.shape, int)
        for loop in loops:
            crossings += _inside(loop, mask.shape)
        assert (crossings % 2 == 1).tolist() == mask.tolist()
        assert area > 0


def _area(loop: list[tuple[float, float]]) -> float:
    r, c = np.array(loop).T
    return float(np.sum(c * np.roll(r, -1) - np.roll(c, -1) * r) / 2)


def _inside(loop: list[tuple[float, float]], shape: tuple[int, ...]) -> np.ndarray:
    out = np.zeros(shape, int)
    for (r0, c0), (r1, c1) in zip(loop, loop[1:] + loop[:1], strict=True):
        for row in range(shape[0]):
            y = row + 1e-6
            if (r0 > y) != (r1 > y):
                out[row] += np.arange(shape[1]) < (c1 - c0) * (y - r0) / (r1 - r0) + c0 - 1e-6
    return out


def test_an_outline_of_nothing_is_nothing() -> None:
    assert outline(np.zeros((3, 4), bool)) == []
    assert path_data([], lambda r, c: (c, r)) == ""


def test_one_voxel_is_a_diamond() -> None:
    loops = outline(np.array([[True]]))
    assert {frozenset(loop) for loop in loops} == {frozenset({(-0.5, 0.0), (0.0, 0.5), (0.5, 0.0), (0.0, -0.5)})}


def test_numbers_of_the_map_do_not_cover_each_other() -> None:
    rng = np.random.default_rng(5)
    marks = [Mark(60 + 260 * rng.random(), 60 + 200 * rng.random(), 8.0, f"L{k}", True) for k in range(30)]
    tags = place_tags(marks, 400, 330)
    for k, a in enumerate(tags):
        assert a.x >= 0
        assert a.x + a.width <= 400
        assert a.y >= 0
        assert a.y + a.height <= 330
        for b in tags[:k]:
            apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
            assert apart, (a.mark.text, b.mark.text)


def test_the_map_shows_the_brightest_voxels_inside_the_liver_only() -> None:
    scan = make_example()
    coronal, axial = liver_maps(scan, Scene.of(scan))
    for found in (coronal, axial):
        image = pixels(found.grey)
        assert image.max() == 255, "metal in the liver"
        assert image[0].max() == 0, "nothing beyond the liver: the spine is as bright"
        names = {t.mark.text for t in found.tags}
        assert {"L1", "L2", "L3", "L4", "#5", "#6"} <= names
    assert coronal.letters == ("H", "F", "R", "L")
    assert axial.letters == ("A", "P", "R", "L")


def test_there_is_no_map_without_a_liver() -> None:
    scan = make_example(balls=())
    scan.liver_mask.mask[:] = False
    assert liver_maps(scan, Scene.of(scan)) == ()


def test_the_scan_is_not_converted_as_a_whole() -> None:
    scan = make_example(balls=BALLS[:1])
    scene = Scene.of(scan)
    assert scene.hu.base is not None
    assert np.shares_memory(scene.hu, scan.volume.hu)
    assert np.shares_memory(scene.labels, scan.labels)
    for plane in PLANES:
        crop = scene.crop(plane, 3, (10.0, 10.0), (20.0, 20.0))
        assert np.shares_memory(crop.cut(scene.hu), scan.volume.hu)


def test_many_vessels_do_not_cover_the_lesions_on_the_map() -> None:
    scan = make_example()
    lesions = [f for f in scan.foci if f.lesion is not None]
    other = next(f for f in scan.foci if f.lesion is None)

    def with_vessels(count: int) -> tuple[int, set[str], int]:
        vessels = [replace(other, id=100 + k, kind="vessel") for k in range(count)]
        metal = replace(other, id=99, kind="metal")
        changed = replace(scan, foci=(*lesions, metal, *vessels))
        drawn = liver_maps(changed, Scene.of(changed))[0]
        return len(drawn.tags) + len(drawn.bare), {t.mark.text for t in drawn.tags}, drawn.vessels

    few, _, left = with_vessels(5)
    assert left == 0
    many, names, left = with_vessels(20)
    assert left == 20
    assert many == few - 5
    assert "#99" in names
