"""Two exams: what became of each lesion, change with its interval, what could have been shown."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from followup_scenes import LINE, NOTE, ball, exam, grid, liver, measured
from hepacalc.errors import NoOverlap
from hepacalc.followup.change import Shared, change_of, shared_calibration
from hepacalc.followup.compare import compare_exams
from hepacalc.followup.course import course_of
from hepacalc.followup.match import match_lesions, paired_foci
from hepacalc.followup.records import Comparison, LiverView, Seen
from hepacalc.followup.register import identity, register_livers
from hepacalc.followup.visible import could_show, in_view
from hepacalc.geometry import Geometry
from hepacalc.phantom import draw_scene
from hepacalc.records import Measured, NotMeasured

SAME = identity(grid(), "the same grid")
PLACES = ((-20.0, 0.0, -10.0), (-40.0, 20.0, 0.0), (10.0, -10.0, -30.0), (-60.0, -10.0, 10.0), (-10.0, 40.0, -20.0))
MIRRORED = {"new": "gone", "gone": "new", "grew": "shrank", "shrank": "grew", "merged": "split", "split": "merged"}


def compared(before: tuple[Seen, ...], after: tuple[Seen, ...], **changes: object) -> Comparison:
    later = replace(exam(after, day=400), **changes)
    return compare_exams(exam(before), later, (NOTE, NOTE), registration=SAME)


def statuses(comparison: Comparison) -> dict[tuple[tuple[int, ...], tuple[int, ...]], str]:
    return {(c.prior, c.current): c.status for c in comparison.lesions}


# ---------------------------------------------------------------- statuses


def test_the_same_exam_is_stable_throughout() -> None:
    lesions = tuple(ball(k, p, mass_mg=10.0 + 20 * k) for k, p in enumerate(PLACES, 1))
    found = compared(lesions, lesions)
    assert [c.status for c in found.lesions] == ["stable"] * 5
    assert all(c.prior == c.current and c.foci == ((c.prior[0], c.prior[0]),) for c in found.lesions)
    assert found.interval_days == 399


def test_new_gone_grown_shrunk_and_stable() -> None:
    before = tuple(ball(k, p) for k, p in enumerate(PLACES[:4], 1))
    after = (ball(1, PLACES[0]), ball(2, PLACES[1], mass_mg=60.0), ball(3, PLACES[2], mass_mg=15.0), ball(4, PLACES[4]))
    assert statuses(compared(before, after)) == {
        ((1,), (1,)): "stable", ((2,), (2,)): "grew", ((3,), (3,)): "shrank", ((4,), ()): "gone", ((), (4,)): "new",
    }  # fmt: skip


def test_two_that_became_one_body_merged_and_the_other_way_round_split() -> None:
    two = (ball(1, (-20.0, 0.0, 0.0), radius_mm=4.0), ball(2, (-9.0, 0.0, 0.0), radius_mm=4.0))
    one = (ball(1, (-14.5, 0.0, 0.0), mass_mg=90.0, radius_mm=9.0),)
    assert statuses(compared(two, one)) == {((1, 2), (1,)): "merged"}
    assert statuses(compared(one, two)) == {((1,), (1, 2)): "split"}


def test_bodies_that_are_only_counted_to_other_lesions_did_not_merge() -> None:
    two = (ball(1, (-20.0, 0.0, 0.0), radius_mm=4.0), ball(2, (-8.0, 0.0, 0.0), radius_mm=4.0))
    parts = (*two[0].parts, replace(two[1].parts[0], focus_id=2))
    one = (replace(two[0], centroid_mm=(-14.0, 0.0, 0.0), parts=parts, mass_mg=measured(60.0, "mg")),)
    found = compared(two, one).lesions
    assert [c.status for c in found] == ["stable"]
    assert any("counted to other lesions" in reason for reason in found[0].reasons)


def test_a_change_that_could_not_be_shown_is_not_called_stable() -> None:
    rough = replace(ball(1, PLACES[0]), mass_mg=measured(30.0, "mg", 0.38))
    (found,) = compared((rough,), (rough,)).lesions
    assert found.status == "not comparable"
    assert isinstance(found.smallest_change_percent, Measured)
    assert found.smallest_change_percent.value > 100


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"noise_hu": measured(90.0, "HU")}, "below the smallest size"),
        ({"slice_thickness_mm": None}, "is not known"),
        ({"is_contrast": True, "vessel_hu": measured(500.0, "HU")}, "contrast medium"),
        ({"others": (replace(ball(9, PLACES[0]), kind="vessel"),)}, "taken for vessel"),
        ({"view": LiverView(np.roll(liver(), 24, axis=2) & False, grid())}, "outside the contour"),
        ({"view": LiverView(liver(), grid((0.0, 0.0, 200.0)))}, "field of view"),
    ],
)
def test_gone_only_where_the_other_exam_could_have_shown_it(change: dict[str, object], reason: str) -> None:
    (found,) = compared((ball(1, PLACES[0]),), (), **change).lesions
    assert found.status == "not comparable"
    assert any(reason in why for why in found.reasons)


def test_what_may_be_no_calcium_is_neither_new_nor_gone() -> None:
    doubtful = replace(ball(1, PLACES[0]), kind="indeterminate")
    assert [c.status for c in compared((), (doubtful,)).lesions] == ["not comparable"]
    assert [c.status for c in compared((doubtful,), ()).lesions] == ["not comparable"]


def test_without_masses_volumes_decide() -> None:
    nothing = NotMeasured("only its contour was given, not the scan")
    before = replace(ball(1, PLACES[0]), mass_mg=nothing)
    after = replace(before, volume_mm3=measured(1200.0, "mm3"))
    (found,) = compared((before,), (after,)).lesions
    assert found.status == "grew"
    assert isinstance(found.mass_change_mg, NotMeasured)


def test_other_phases_widen_the_interval() -> None:
    lesion = ball(1, PLACES[0])
    plain, other = (compared((lesion,), (lesion,), phase=p).lesions[0] for p in ("non-contrast", "portal venous"))
    one, two = plain.mass_change_percent, other.mass_change_percent
    assert isinstance(one, Measured)
    assert isinstance(two, Measured)
    assert two.high - two.low > 1.2 * (one.high - one.low)


# ---------------------------------------------------------------- properties


masses = st.floats(2.0, 400.0)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(masses, masses), min_size=1, max_size=5))
def test_the_exams_swapped_mirror_every_status(pairs: list[tuple[float, float]]) -> None:
    before = tuple(ball(k, PLACES[k - 1], mass_mg=a) for k, (a, _) in enumerate(pairs, 1))
    after = tuple(ball(k, PLACES[k - 1], mass_mg=b) for k, (_, b) in enumerate(pairs, 1))
    there, back = statuses(compared(before, after)), statuses(compared(after, before))
    assert back == {(two, one): MIRRORED.get(status, status) for (one, two), status in there.items()}


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(5)), st.permutations(range(5)))
def test_the_order_of_lesions_does_not_matter(first: list[int], second: list[int]) -> None:
    before = tuple(ball(k, p, mass_mg=10.0 * k) for k, p in enumerate(PLACES, 1))
    after = tuple(ball(k, p, mass_mg=14.0 * k) for k, p in enumerate(PLACES[1:], 1))
    plain = statuses(compared(before, after))
    mixed = statuses(compared(tuple(before[k] for k in first), tuple(after[k % 4] for k in second if k < 4)))
    assert plain == mixed


@settings(deadline=None, max_examples=40)
@given(masses, masses, st.floats(0.01, 0.15), st.floats(0.0, 1.0))
def test_a_change_holds_its_estimate_and_mirrors(a: float, b: float, share: float, correlation: float) -> None:
    shared = Shared(0.01, 0.01, correlation)
    there = change_of(measured(a, "mg", share), measured(b, "mg", share), shared)
    back = change_of(measured(b, "mg", share), measured(a, "mg", share), shared)
    assert isinstance(there.amount, Measured)
    assert isinstance(back.amount, Measured)
    assert there.amount.low < b - a < there.amount.high
    assert there.amount.high == pytest.approx(-back.amount.low)
    assert there.direction == -back.direction


def test_a_shared_calibration_cancels() -> None:
    a, b = (measured(m, "mg", float(np.hypot(0.02, 0.03))) for m in (100.0, 130.0))
    one = change_of(a, b, shared_calibration(LINE, LINE, same_scanner=True))
    other = change_of(a, b, shared_calibration(LINE, LINE, same_scanner=False))
    for change in (one, other):
        assert isinstance(change.smallest_percent, Measured)
    assert one.smallest_percent.value < other.smallest_percent.value
    own = 100 * (2.58 + 1.28) * 0.02 * np.hypot(1, 1.3)
    assert one.smallest_percent.value == pytest.approx(max(own, 10.0), rel=0.05)


# ---------------------------------------------------------------- matching, places


def test_the_nearer_and_the_more_alike_is_matched() -> None:
    before = (ball(1, (0.0, 0.0, 0.0), mass_mg=100.0), ball(2, (12.0, 0.0, 0.0), mass_mg=5.0, radius_mm=2.0))
    after = (ball(1, (3.0, 0.0, 0.0), mass_mg=105.0), ball(2, (14.0, 0.0, 0.0), mass_mg=5.0, radius_mm=2.0))
    assert {(one.prior, one.current) for one in match_lesions(before, after)} == {((0,), (0,)), ((1,), (1,))}
    assert paired_foci(before, after) == ((1, 1), (2, 2))


def test_far_apart_is_never_one() -> None:
    links = match_lesions((ball(1, (0.0, 0.0, 0.0)),), (ball(1, (60.0, 0.0, 0.0)),))
    assert {(one.prior, one.current) for one in links} == {((0,), ()), ((), (0,))}


def test_in_view_and_visible() -> None:
    one = exam(())
    assert in_view(np.array([-20.0, 0.0, 0.0]), one)
    assert not in_view(np.array([-20.0, 0.0, -95.0]), one)
    lesion = ball(1, PLACES[0])
    assert could_show(one, lesion, np.array(PLACES[0]), lesion.points_mm, place_sd_mm=2.5) == ()


def test_livers_are_laid_on_each_other() -> None:
    shift = (12.0, -20.0, 25.0)
    fit = register_livers(LiverView(liver(), grid()), LiverView(liver(), grid(shift)))
    inside = np.array(PLACES)
    assert np.linalg.norm(fit.carry(inside) - inside - shift, axis=1).max() < 1.0
    assert np.abs(fit.carry_back(fit.carry(inside)) - inside).max() < 0.01
    assert fit.dice > 0.95


def test_a_mirrored_liver_is_told() -> None:
    field = draw_scene(12, foci=(), mimics=()).anatomy.liver
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.eye(3)) * field.step_mm
    affine[:3, 3] = field.origin_mm[::-1]
    body, space = field.values < 0, Geometry(field.values.shape, affine)
    with pytest.raises(NoOverlap, match="mirror"):
        register_livers(LiverView(body, space), LiverView(body[:, :, ::-1], space))


def test_other_livers_are_refused() -> None:
    small = np.zeros_like(liver())
    small[20:23, 30:33, 30:33] = True
    with pytest.raises(NoOverlap, match="cannot be laid"):
        register_livers(LiverView(liver(), grid()), LiverView(small, grid()))


# ---------------------------------------------------------------- evidence


def test_growth_and_new_calcium_speak_and_what_cannot_be_compared_is_silent() -> None:
    before = (ball(1, PLACES[0]), ball(2, PLACES[1]))
    after = (ball(1, PLACES[0], mass_mg=60.0), ball(2, PLACES[1]), ball(3, PLACES[2]),
             replace(ball(4, PLACES[3]), kind="indeterminate"))  # fmt: skip
    found = compared(before, after)
    said = {k: course_of([found], k) for k in (1, 2, 3, 4)}
    assert said[1] is not None
    assert said[1][0] == {"growing": 1.0}
    assert said[2] is not None
    assert said[2][0] == {"stable": 1.0, "growing": 0.0}
    assert "13 months" in said[2][1]
    assert said[3] is not None
    assert said[3][0] == {"new": 1.0}
    assert said[4] is None


def test_growth_on_any_earlier_exam_wins() -> None:
    small, large = (ball(1, PLACES[0], mass_mg=m) for m in (30.0, 60.0))
    steady, grown = compared((large,), (large,)), compared((small,), (large,))
    for order in ([steady, grown], [grown, steady]):
        course = course_of(order, 1)
        assert course is not None
        assert course[0] == {"growing": 1.0}
