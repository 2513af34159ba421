"""Areas of several sections: run one by one, at full size or at a share of it (to see that they run)."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

Section = Callable[[Path, float], list[dict[str, Any]]]
"""Takes an empty folder and the share of its full size; gives rows."""


def run(sections: Mapping[str, Section], only: Collection[str] = (), share: float = 1.0) -> Iterator[dict[str, Any]]:
    """Give the rows of sections, each with the name of its section and the seconds that all of it took.

    Args:
        sections: of an area, by name.
        only: names of those wanted; all when empty.
        share: of their full size; below 1 no row says whether its target was met.
    """
    for name, section in sections.items():
        if only and name not in only:
            continue
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            found = section(Path(folder), share)
        told = {"section": name, "seconds": round(time.perf_counter() - began, 1)}
        for row in found:
            yield {**row, **told} if share >= 1 else {**row, **told, "ok": None, "share": share}
