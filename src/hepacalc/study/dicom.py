"""One chosen series to a volume in HU."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import DamagedFile, HepacalcError, InvalidPixelValues, UnsupportedGeometry
from hepacalc.records import Acquisition, Volume
from hepacalc.study.decode import LOSSY_SYNTAXES, PixelReader
from hepacalc.study.guard import parsing, quiet
from hepacalc.study.helper import WORKERS
from hepacalc.study.hounsfield import Hu, NeedsFloat, is_integral, to_hu
from hepacalc.study.series import Series
from hepacalc.study.slices import Slice
from hepacalc.study.stack import MIN_SLICES, Stack, build_stack, largest_block, order_slices
from hepacalc.study.tags import UNDEFINED
from hepacalc.study.tilt import straighten
from hepacalc.threads import thread_pool

__all__ = ["load_series"]

Progress = Callable[[str, float], None]


def load_series(series: Series, *, allow_gaps: bool = False, progress: Progress | None = None) -> Volume:
    """Read a series into a volume ``(z, y, x)`` in HU.

    Args:
        series: from :func:`hepacalc.study.group_series`.
        allow_gaps: with missing or uneven slices, or images that cannot be read, take the largest regular block.
        progress: called with ``"reading slices"`` and the share done, 0-1.

    Raises:
        GeometryError: the slices form no regular grid.
        DamagedFile: an image cannot be read.
        InvalidPixelValues: the numbers are no HU.
    """
    with quiet():
        slices = list(series.slices)
        notes = list(series.notes)
        lost = 0
        while True:
            stack = _stack(series, slices, allow_gaps, notes, lost)
            try:
                hu, padded = _read(stack, progress)
                break
            except _Unreadable as problem:
                if not allow_gaps:
                    raise problem.error from problem.error.__cause__
                slices = [one for one in slices if one is not problem.one]
                lost += 1
        return _volume(hu, padded, stack, tuple(notes))


class _Unreadable(Exception):
    def __init__(self, one: Slice, error: DamagedFile) -> None:
        super().__init__()
        self.one, self.error = one, error


def _stack(series: Series, slices: list[Slice], allow_gaps: bool, notes: list[str], lost: int) -> Stack:
    """Return the regular grid, or the largest regular block when gaps are allowed."""
    if not lost and series.stack is not None:
        return series.stack
    problem: HepacalcError
    try:
        return build_stack(slices)
    except UnsupportedGeometry as error:
        if not allow_gaps:
            raise
        problem = error
    ordered, depths = order_slices(slices)
    start, stop = largest_block(depths)
    if stop - start < MIN_SLICES:
        raise problem
    block = ordered[start:stop]
    notes[:] = [*series.notes]
    if lost:
        notes.append(f"{lost} image{'s' if lost > 1 else ''} of the series could not be read")
    notes.append(
        f"slices missing or uneven: only the largest regular block was read, {stop - start} of {len(series.slices)} "
        f"slices (instances {block[0].instance} to {block[-1].instance}, {depths[start]:.1f} to "
        f"{depths[stop - 1]:.1f} mm along the slice normal); the rest was left out"
    )
    return build_stack(block)


def _read(stack: Stack, progress: Progress | None) -> tuple[Hu, int]:
    if not is_integral(stack.slices):
        return _read_as(stack, np.dtype(np.float32), progress)
    try:
        return _read_as(stack, np.dtype(np.int16), progress)
    except NeedsFloat:
        return _read_as(stack, np.dtype(np.float32), progress)


def _read_as(
    stack: Stack, dtype: np.dtype[np.int16] | np.dtype[np.float32], progress: Progress | None
) -> tuple[Hu, int]:
    shape = stack.geometry.shape
    size = f"{shape[0]} slices of {shape[1]} x {shape[2]} pixels"
    with parsing(InvalidPixelValues(f"A series of {size} does not fit into memory.", hint="Check its headers.")):
        hu: Hu = np.empty(shape, dtype)
    _check_rescale(stack.slices)
    is_compressed = any(one.head.pixel_length == UNDEFINED for one in stack.slices)

    def read(k: int) -> int:
        one, plane = stack.slices[k], hu[k]
        try:
            stored = reader.stored(one, plane if plane.dtype == np.int16 else None)
        except DamagedFile as error:
            raise _Unreadable(one, error) from error
        return to_hu(stored, one, plane)

    with PixelReader() as reader, thread_pool(WORKERS if is_compressed else 1) as threads:
        if is_compressed:
            reader.start_helpers()
        padded = 0
        futures = [threads.submit(read, k) for k in range(len(hu))]
        try:
            for done, future in enumerate(futures, 1):
                padded += future.result()
                if progress is not None and (done % 8 == 0 or done == len(hu)):
                    progress("reading slices", done / len(hu))
        finally:
            threads.shutdown(wait=True, cancel_futures=True)
    return hu, padded


def _check_rescale(slices: Sequence[Slice]) -> None:
    for one in slices:
        rescale_type = (one.text("RescaleType") or "HU").upper()
        if one.slope is None and not one.head.is_signed:
            found = "no rescale slope and intercept"
        elif one.slope == 0:
            found = "a rescale slope of 0"
        elif rescale_type not in ("HU", "US", "HU_MOD"):
            found = "another rescale type than HU"
        else:
            continue
        raise InvalidPixelValues(
            f"Series {one.head.label} holds no CT numbers: it has {found}.",
            hint="Choose another series with --series.",
        )


def _volume(hu: Hu, padded: int, stack: Stack, notes: tuple[str, ...]) -> Volume:
    _check_values(hu, stack)
    source = stack.geometry
    acquisition = _acquisition(stack, padded / max(hu.size, 1))
    uids = tuple(one.head.sop_uid for one in stack.slices)
    if padded:
        notes = (*notes, f"padding outside the field of view set to -1024 HU ({padded / hu.size:.2%} of the voxels)")
    if acquisition.has_lossy_compression:
        notes = (*notes, "the images were compressed with loss before they came here")
    if all(one.slope is None for one in stack.slices):
        notes = (*notes, "no rescale in the headers: stored numbers taken as HU")
    if not source.is_sheared:
        return Volume(hu, source, acquisition, None, uids, notes)
    straight, layout = straighten(hu, source, 0)
    notes = (
        *notes,
        f"gantry tilt of {layout.degrees:.1f} degrees: slices shifted within their planes to an orthogonal grid "
        "(linear interpolation); masks are carried back to the tilted grid when written",
    )
    return Volume(straight, layout.geometry, acquisition, source, uids, notes)


def _check_values(hu: NDArray[np.int16] | NDArray[np.float32], stack: Stack) -> None:
    low, high = float(hu.min()), float(hu.max())
    if low == high or not np.isfinite(low + high):
        raise InvalidPixelValues(
            f"Series {stack.slices[0].head.label} holds no picture: every voxel is {low:.0f}.",
            hint="Choose another series with --series.",
        )


def _acquisition(stack: Stack, padding_fraction: float) -> Acquisition:
    one = stack.slices[len(stack.slices) // 2]
    heads = {id(s.head): s.head for s in stack.slices}.values()
    lossy = any(h.transfer_syntax in LOSSY_SYNTAXES or h.text("LossyImageCompression") == "01" for h in heads)
    known = any(h.text("LossyImageCompression") is not None or h.transfer_syntax is not None for h in heads)
    return Acquisition(
        modality=one.text("Modality") or "CT",
        kvp=one.number("KVP"),
        slice_thickness_mm=one.number("SliceThickness"),
        convolution_kernel=one.text("ConvolutionKernel"),
        contrast_bolus_agent=one.text("ContrastBolusAgent"),
        manufacturer=one.text("Manufacturer"),
        manufacturer_model_name=one.text("ManufacturerModelName"),
        series_description=one.text("SeriesDescription"),
        body_part_examined=one.text("BodyPartExamined"),
        image_type=tuple((one.text("ImageType") or "").split("\\")) if one.text("ImageType") else (),
        patient_position=one.text("PatientPosition"),
        study_date=one.text("StudyDate"),
        study_instance_uid=one.text("StudyInstanceUID"),
        series_instance_uid=one.text("SeriesInstanceUID"),
        frame_of_reference_uid=one.text("FrameOfReferenceUID"),
        pixel_padding_value=one.number("PixelPaddingValue"),
        gantry_tilt_degrees=_tilt(stack, one),
        padding_fraction=padding_fraction,
        has_lossy_compression=lossy if known else None,
    )


def _tilt(stack: Stack, one: Slice) -> float | None:
    """Return the tilt the header states, or else the signed one the positions show."""
    stated = one.number("GantryDetectorTilt")
    if stated or not stack.geometry.is_sheared:
        return stated
    step = stack.geometry.affine[:3, 0]
    along_y = stack.geometry.affine[:3, 1]
    sine = float(step @ along_y / (np.linalg.norm(step) * np.linalg.norm(along_y)))
    return round(float(np.degrees(np.arcsin(-sine))), 2)
