"""A process that writes to a registry until it is done or killed: ``python registry_writer.py LOCATION FIRST COUNT``.

It tells ``ready`` before the first write, and the number of each study when its write has come back.
"""

from __future__ import annotations

import sys

from hepacalc.registry.store import Registry
from registry_scenes import NOW, exam


def main(location: str, first: int, count: int) -> None:
    scans = [exam(number) for number in range(first, first + count)]
    with Registry.open(location, create=True) as registry:
        print("ready", flush=True)
        for number, scan in zip(range(first, first + count), scans, strict=True):
            registry.add(scan, key=f"P{number % 7}", now=NOW, by="writer")
            print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
