"""NIfTI in and out; the only place where coordinates are RAS.

NIfTI arrays are ``(i, j, k)`` with ``i`` fastest in memory; read as ``(z, y, x) = (k, j, i)`` the bytes stay
where they are. Only the sign of x and y changes between RAS and LPS.

Reference: NIfTI-1 header, https://nifti.nimh.nih.gov/nifti-1.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import (
    DamagedFile,
    GridMismatch,
    InconsistentSlices,
    InvalidLiverMask,
    InvalidPixelValues,
    OutputError,
    StudyNotFound,
    TooFewSlices,
)
from hepacalc.geometry import Geometry
from hepacalc.records import Acquisition, Volume
from hepacalc.study.guard import parsing, quiet
from hepacalc.study.hounsfield import Hu, set_padding
from hepacalc.study.stack import MIN_SLICES
from hepacalc.study.tilt import labels_to_source, straighten

__all__ = ["guess_slice_axis", "nifti_head", "read_nifti_labels", "read_nifti_volume", "write_mask_nifti"]

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MAX_HU = 1e5
_MAX_GZIP_RATIO = 1100
Progress = Callable[[str, float], None]


def read_nifti_volume(path: Path | str, *, progress: Progress | None = None) -> Volume:
    """Read a CT volume in HU.

    Args:
        path: ``.nii`` or ``.nii.gz``; three axes, or four with one entry in the last.
        progress: called with ``"reading slices"`` and the share done, 0-1.

    Returns:
        The volume; int16 where all values are whole numbers in range, else float32. ``hu[z, y, x]`` is voxel
        ``(x, y, z)`` of the file. A sheared grid (gantry tilt) is resampled, as with DICOM.

    Raises:
        StudyNotFound: no such file.
        DamagedFile: truncated, or not NIfTI.
        InconsistentSlices: no valid affine.
        TooFewSlices: an axis is shorter than three voxels.
        InvalidPixelValues: NaN, infinite, complex or colour values, or no CT numbers.
    """
    path = Path(path)
    with quiet():
        image = _open(path)
        shape = _shape(image)
        geometry = Geometry((shape[2], shape[1], shape[0]), _affine(image))
        if min(shape) < MIN_SLICES:
            raise TooFewSlices(
                f"The NIfTI file has {' x '.join(map(str, shape))} voxels; a volume needs at least {MIN_SLICES} "
                "along each axis.",
                hint="Give the whole scan.",
            )
        axis = guess_slice_axis(geometry)
        try:
            hu = _read_hu(path, image, np.dtype(np.int16), progress)
        except _NotIntegral:
            hu = _read_hu(path, image, np.dtype(np.float32), progress)
        padded = _pad(hu, axis)
        if hu.max() == hu.min():
            raise InvalidPixelValues(
                f"The NIfTI file holds no picture: every voxel is {float(hu.min()):g}.", hint="Give the CT scan."
            )
        notes = _notes(image, padded / hu.size)
        acquisition = Acquisition(padding_fraction=padded / hu.size)
        if not geometry.is_sheared:
            return Volume(hu, geometry, acquisition, None, (), notes, axis)
        straight, layout = straighten(hu, geometry, axis)
        note = f"sheared grid ({layout.degrees:.1f} degrees) resampled to an orthogonal one (linear interpolation)"
        return Volume(straight, layout.geometry, acquisition, geometry, (), (*notes, note), axis)


def read_nifti_labels(path: Path | str) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], Geometry]:
    """Read a mask or label map: ``(z, y, x)`` array and its grid.

    Returns:
        uint8, or uint16 when a label exceeds 255.

    Raises:
        StudyNotFound: no such file.
        DamagedFile: truncated, or not NIfTI.
        InconsistentSlices: no valid affine.
        InvalidLiverMask: values that are no labels.
    """
    path = Path(path)
    with quiet():
        image = _open(path)
        shape = _shape(image)
        geometry = Geometry((shape[2], shape[1], shape[0]), _affine(image))
        out = _allocate(path, image, np.uint16)
        for k, plane in enumerate(_planes(path, image)):
            rounded = np.rint(plane)
            if not np.isfinite(rounded).all() or rounded.min() < 0 or rounded.max() > 65535:
                raise InvalidLiverMask(
                    "The mask file holds values that are no labels (below 0, above 65535 or NaN).",
                    hint="Give a mask with 0 outside and whole numbers inside.",
                )
            if np.abs(plane - rounded).max() > 1e-3:
                raise InvalidLiverMask(
                    "The mask file holds fractions, as a probability map or a resampled mask does.",
                    hint="Threshold it, or resample it with nearest neighbour.",
                )
            out[k] = rounded
        if out.max() <= 255:
            return out.astype(np.uint8), geometry
        return out, geometry


def write_mask_nifti(labels: NDArray[Any], volume: Volume, path: Path | str) -> None:
    """Write a mask or label map on the grid of the scan's files.

    Args:
        labels: bool, uint8 or uint16 ``(z, y, x)`` on ``volume.geometry``.
        volume: the scan; where a gantry tilt was resampled, the map is carried back to the tilted grid.
        path: ends in ``.nii`` or ``.nii.gz``. The same map gives the same bytes.

    Raises:
        GridMismatch: ``labels`` has another shape than the volume.
        InvalidLiverMask: another type of numbers.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    if labels.shape != volume.geometry.shape:
        raise GridMismatch(
            f"A label map of shape {volume.geometry.shape} is wanted, but it has shape {labels.shape}.",
            hint="Give the map on the grid of the volume that was read.",
        )
    if labels.dtype == np.bool_:
        labels = labels.astype(np.uint8)
    if labels.dtype not in (np.uint8, np.uint16):
        raise InvalidLiverMask(
            f"Labels are wanted as bool, uint8 or uint16, but they are {labels.dtype}.", hint="Convert the array first."
        )
    geometry = volume.geometry
    if volume.source_geometry is not None:
        geometry = volume.source_geometry
        labels = labels_to_source(labels, geometry, volume.slice_axis)
    data = _encode(labels, geometry)
    if path.name.lower().endswith(".gz"):
        packed = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=packed, mtime=0) as stream:
            stream.write(data)
        data = packed.getvalue()
    try:
        path.write_bytes(data)
    except OSError as cause:
        raise OutputError(
            f"The mask cannot be written ({cause.strerror}).", hint="Check that the folder exists and may be written."
        ) from cause


def _encode(labels: NDArray[Any], geometry: Geometry) -> bytes:
    """Return the bytes of an uncompressed NIfTI-1 file (NIfTI-2 for axes beyond 32767)."""
    affine = _LPS @ geometry.affine[:, [2, 1, 0, 3]]
    kind = nib.Nifti1Image if max(labels.shape) < 32768 else nib.Nifti2Image
    image = kind(labels.transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    # a quaternion cannot hold a shear
    image.set_qform(None if geometry.is_sheared else affine, code=0 if geometry.is_sheared else 1)
    return bytes(image.to_bytes())


def nifti_head(geometry: Geometry, dtype: np.dtype[Any]) -> bytes:
    """Return what stands before the voxels in an uncompressed NIfTI-1 file, for a file that is sent slice by slice.

    Args:
        geometry: of the array ``(z, y, x)`` whose bytes follow in C order; at most 32767 voxels along an axis.
        dtype: of its numbers, little endian.
    """
    affine = _LPS @ geometry.affine[:, [2, 1, 0, 3]]
    header = nib.Nifti1Header(endianness="<")
    header.set_data_shape(geometry.shape[::-1])
    header.set_data_dtype(dtype)
    header.set_xyzt_units("mm")
    header.set_sform(affine, code=1)
    # a quaternion cannot hold a shear
    header.set_qform(None if geometry.is_sheared else affine, code=0 if geometry.is_sheared else 1)
    header["vox_offset"] = 352
    return bytes(header.binaryblock) + bytes(4)


def _open(path: Path) -> Any:
    """Return the lazily loaded image."""
    if not path.is_file():
        raise StudyNotFound("The NIfTI file that was given does not exist.", hint="Check how the path is spelled.")
    damaged = DamagedFile("The NIfTI file cannot be read.", hint="Export or download it again.")
    with parsing(damaged):
        image = nib.load(path)
        if not isinstance(image, nib.Nifti1Pair):
            raise damaged
        return image


def _shape(image: Any) -> tuple[int, int, int]:
    shape = tuple(int(n) for n in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) < 1:
        raise InconsistentSlices(
            f"A volume with three axes is wanted, but the NIfTI file has shape {' x '.join(map(str, image.shape))}.",
            hint="Give one volume; split a series of phases first.",
        )
    return shape[0], shape[1], shape[2]


def _affine(image: Any) -> NDArray[np.float64]:
    """Return the ``(z, y, x) -> LPS`` affine of the sform, or else of the qform."""
    missing = InconsistentSlices(
        "The NIfTI file does not say where its voxels lie (no valid sform or qform), so left, right and "
        "size cannot be trusted.",
        hint="Export it again from DICOM with its orientation.",
    )
    with parsing(missing):
        header = image.header
        codes = int(header["sform_code"]), int(header["qform_code"])
        for code, read in ((codes[0], header.get_sform), (codes[1], header.get_qform)):
            if code <= 0:
                continue
            ras = np.asarray(read(), float)
            sizes = np.linalg.norm(ras[:3, :3], axis=0)
            if not np.isfinite(ras).all() or sizes.min() < 1e-3 or sizes.max() > 100 or np.abs(ras).max() > 1e5:
                continue
            if abs(np.linalg.det(ras[:3, :3] / sizes)) < 0.2:
                continue
            return np.asarray((_LPS @ ras)[:, [2, 1, 0, 3]])
    raise missing


def guess_slice_axis(geometry: Geometry) -> int:
    """Guess the axis of the slices, which NIfTI does not keep.

    The axis whose spacing differs from two equal ones; of three different spacings the largest; of three
    equal ones that nearest to head-foot.
    """
    spacing = np.array(geometry.spacing_mm)
    for axis in range(3):
        rest = np.delete(spacing, axis)
        if abs(rest[0] - rest[1]) < 1e-3 * rest[0] and abs(spacing[axis] - rest[0]) > 1e-2 * rest[0]:
            return axis
    if spacing.max() > 1.01 * spacing.min():
        return int(np.argmax(spacing))
    return int(np.argmax(np.abs(geometry.affine[2, :3]) / spacing))


class _NotIntegral(Exception):
    """The values do not fit into int16."""


def _stream(path: Path) -> IO[bytes] | gzip.GzipFile:
    if path.name.lower().endswith(".gz"):
        return gzip.GzipFile(path, "rb")
    return path.open("rb")


_DAMAGED = "The NIfTI file ends early or is damaged."
_AGAIN = "Export or download it again."


def _allocate(path: Path, image: Any, dtype: Any) -> NDArray[Any]:
    """Return an empty ``(z, y, x)`` array, once the file is known to be large enough to fill it."""
    damaged = DamagedFile(_DAMAGED, hint=_AGAIN)
    with parsing(damaged):
        stored = np.dtype(image.dataobj.dtype)
        if stored.fields is not None or stored.kind not in "iuf":
            raise InvalidPixelValues(
                f"CT numbers are wanted, but the NIfTI file holds {'colours' if stored.fields else 'complex numbers'}.",
                hint="Give the CT scan in HU.",
            )
        nx, ny, nz = _shape(image)
        ratio = _MAX_GZIP_RATIO if path.name.lower().endswith(".gz") else 1
        if int(image.dataobj.offset) + nx * ny * nz * stored.itemsize > path.stat().st_size * ratio:
            raise damaged
        return np.empty((nz, ny, nx), dtype)


def _planes(path: Path, image: Any) -> Iterator[NDArray[Any]]:
    """Yield scaled planes ``(y, x)`` along the file's third axis, as float64 or as integers where they are exact."""
    damaged = DamagedFile(_DAMAGED, hint=_AGAIN)
    # nibabel blanks offset and scaling in the header; the array proxy keeps them
    proxy = image.dataobj
    dtype = np.dtype(proxy.dtype)
    nx, ny, nz = _shape(image)
    with parsing(damaged):
        slope, intercept = float(proxy.slope), float(proxy.inter)
        stream = _stream(path)
    with stream:
        with parsing(damaged):
            stream.seek(int(proxy.offset))
        for _ in range(nz):
            with parsing(damaged):
                raw = stream.read(nx * ny * dtype.itemsize)
                if len(raw) < nx * ny * dtype.itemsize:
                    raise damaged
            plane = np.frombuffer(raw, dtype).reshape(ny, nx)
            yield plane if slope == 1 and intercept == 0 else plane.astype(np.float64) * slope + intercept


def _read_hu(path: Path, image: Any, dtype: np.dtype[Any], progress: Progress | None) -> Hu:
    hu: Hu = _allocate(path, image, dtype)
    for k, plane in enumerate(_planes(path, image)):
        low, high = float(plane.min()), float(plane.max())
        if not np.isfinite(low + high) or max(-low, high) > _MAX_HU:
            raise InvalidPixelValues(
                "The NIfTI file holds NaN, infinite or absurd values, which no CT number is.",
                hint="Replace them (air is -1024 HU), or export the scan again.",
            )
        if dtype == np.int16:
            if low < -32768 or high > 32767:
                raise _NotIntegral
            if plane.dtype.kind == "f" and not np.array_equal(plane, np.rint(plane)):
                raise _NotIntegral
        hu[k] = plane
        if progress is not None and (k % 8 == 0 or k == len(hu) - 1):
            progress("reading slices", (k + 1) / len(hu))
    return hu


def _pad(hu: Hu, axis: int) -> int:
    return sum(set_padding(plane, None) for plane in np.moveaxis(hu, axis, 0))


def _notes(image: Any, padding: float) -> tuple[str, ...]:
    notes = []
    header = image.header
    if int(header["sform_code"]) > 0 and int(header["qform_code"]) > 0:
        with parsing(DamagedFile("The orientation of the NIfTI file cannot be read.", hint="Export it again.")):
            sform, qform = np.asarray(header.get_sform()), np.asarray(header.get_qform())
        corner = np.array([n - 1 for n in _shape(image)] + [1.0])
        if np.linalg.norm((sform - qform) @ corner) > 1.0 or np.linalg.norm((sform - qform)[:3, 3]) > 1.0:
            notes.append("sform and qform of the file disagree; the sform was used")
    if padding:
        notes.append(f"padding outside the field of view set to -1024 HU ({padding:.2%} of the voxels)")
    return tuple(notes)
