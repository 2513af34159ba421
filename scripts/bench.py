"""Run ``rows()`` of ``benchmarks/AREA.py`` and print the rows; see ``scripts/bench``."""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
JOINED = {"followup": ("registry",), "server": ("server_dicom", "server_faults", "server_away")}
"""Areas that also give the rows of others."""
FIELDS = ("name", "value", "unit", "target", "ok")


def areas() -> list[str]:
    """Benchmarks that can be run: the files that define ``rows``."""
    found = []
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "rows" for node in tree.body):
            found.append(path.stem)
    return found


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Rows as aligned text."""
    lines = [("", "what", "value", "unit", "wanted")]
    lines += [
        ({True: "ok", False: "MISSED", None: ""}[row.get("ok")], str(row["name"]), shown(row.get("value")),
         str(row.get("unit") or ""), str(row.get("target") or "-"))
        for row in rows
    ]  # fmt: skip
    widths = [max(len(line[k]) for line in lines) for k in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def shown(value: Any) -> str:
    """A value as it is quoted."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> int:
    """Print the rows of one area."""
    there = areas()
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measured figures of hepacalc.")
    parser.add_argument("area", nargs="?", help=f"one of: {', '.join(there)}")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--section", action="append", default=[], help="only this one, of an area that has sections")
    parser.add_argument("--share", type=float, default=1.0, help="of the sections' size, to see that they run")
    given = parser.parse_args()
    if given.area not in there:
        said = "no area" if given.area is None else f"{given.area!r}"
        sys.stderr.write(f"scripts/bench: wanted one of {', '.join(there)}; found {said}.\n")
        return 2
    sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
    asked = (given.area, *JOINED.get(given.area, ()))
    modules = [importlib.import_module(f"benchmarks.{area}") for area in asked]
    named = [name for module in modules for name in getattr(module, "SECTIONS", ())]
    unknown = sorted(set(given.section) - set(named))
    if unknown or (given.share != 1 and not named):
        told = f"wanted a section of {', '.join(named)}" if named else f"{given.area} has no sections"
        sys.stderr.write(f"scripts/bench: {told}; found {unknown[0] if unknown else '--share'!r}.\n")
        return 2
    how = {"only": given.section, "share": given.share} if given.section or given.share != 1 else {}
    rows = chain.from_iterable(
        module.rows(**how) for module in modules if not how or set(given.section or named) & set(module.SECTIONS)
    )
    if given.json:
        for row in rows:
            print(json.dumps({name: row.get(name) for name in FIELDS} | row), flush=True)
    else:
        print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
