"""What a liver segmenter is, and how one is found by name.

Third-party segmenters register under the entry point group ``hepacalc.segmenters``; the entry point
names a class that can be called without arguments. Every one should pass ``tests/contract/test_segmenter.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol, cast, runtime_checkable

from hepacalc.errors import SegmenterUnavailable
from hepacalc.records import LiverMask, Volume

__all__ = ["GROUP", "Progress", "Segmenter", "get_segmenter", "segmenter_names"]

GROUP = "hepacalc.segmenters"
"""Entry point group of third-party segmenters."""

Progress = Callable[[str, float], None]
"""Told the name of the step and the share of the work that is done, 0-1."""

_OWN = {
    "embedded": ("hepacalc.liver.embedded", "EmbeddedSegmenter"),
    "totalsegmentator": ("hepacalc.liver.totalsegmentator", "TotalSegmentatorSegmenter"),
}


@runtime_checkable
class Segmenter(Protocol):
    """Finds the liver in a CT scan."""

    @property
    def name(self) -> str:
        """Name by which :func:`get_segmenter` knows it."""
        ...

    @property
    def version(self) -> str:
        """Version of the method or of its weights."""
        ...

    def segment(self, volume: Volume, *, progress: Progress | None = None) -> LiverMask:
        """Return the liver on ``volume.geometry``.

        The same volume gives the same mask, in every signed axis order, and is left unchanged.

        Args:
            volume: a CT scan in HU, any axis order.
            progress: called with the name of each step and the share of the work that is done, 0-1.

        Raises:
            NoUsableLiver: no liver is in view.
            SegmenterUnavailable: its weights are not there.
            MissingDependency: a package it needs is not installed.
        """
        ...


def segmenter_names() -> tuple[str, ...]:
    """Return the names that :func:`get_segmenter` knows, sorted."""
    return tuple(sorted({*_OWN, *(point.name for point in entry_points(group=GROUP))}))


def get_segmenter(name: str) -> Segmenter:
    """Return the segmenter called ``name``; its module is imported only now.

    Args:
        name: ``"embedded"``, ``"totalsegmentator"`` or the name of an entry point in :data:`GROUP`.

    Raises:
        SegmenterUnavailable: no such name, or the third-party package cannot be imported.
    """
    if name in _OWN:
        module, attribute = _OWN[name]
        return cast(Segmenter, getattr(import_module(module), attribute)())
    for point in entry_points(group=GROUP, name=name):
        try:
            made = point.load()()
        except (ImportError, AttributeError) as error:
            raise SegmenterUnavailable(
                f"the segmenter {name!r} is registered as {point.value} but cannot be loaded: {error}.",
                hint="Install its package again, or choose another segmenter.",
            ) from error
        if not isinstance(made, Segmenter):
            raise SegmenterUnavailable(
                f"the segmenter {name!r} ({point.value}) lacks name, version or segment().",
                hint="It must follow hepacalc.liver.segmenter.Segmenter.",
            )
        return made
    raise SegmenterUnavailable(
        f"there is no segmenter called {name!r}.",
        hint=f"Choose one of: {', '.join(segmenter_names())}; or give a mask with --liver-mask.",
    )
