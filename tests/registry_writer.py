"""A process that writes to a registry: ``python registry_writer.py LOCATION FIRST COUNT [SEED]``.

It tells the number of each study when its write has come back. With SEED every write is made by a child of its own,
which is killed with SIGKILL at a random moment: before, within or after the write.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import sys
import time

from hepacalc.registry.store import Registry
from registry_scenes import NOW, exam

UNHARMED = 5
"""So many children are let go on, to see how long a write takes."""


def write(location: str, first: int, count: int) -> None:
    """Write so many, one after another."""
    scans = [exam(number) for number in range(first, first + count)]
    with Registry.open(location, create=True) as registry:
        for number, scan in zip(range(first, first + count), scans, strict=True):
            registry.add(scan, key=f"P{number % 7}", now=NOW, by="writer")
            print(number, flush=True)


def write_and_be_killed(location: str, first: int, count: int, seed: int) -> None:
    """Write so many, each in a child that is killed."""
    rng = random.Random(seed)
    Registry.open(location, create=True).database.close()
    took: list[float] = []
    for number in range(first, first + count):
        scan, start = exam(number), time.perf_counter()
        child = os.fork()
        if child == 0:
            with Registry.open(location) as registry:
                registry.add(scan, key=f"P{number % 7}", now=NOW, by="writer")
                os.write(1, f"{number}\n".encode())
                os._exit(0)
        if len(took) < UNHARMED:
            os.waitpid(child, 0)
            took.append(time.perf_counter() - start)
            continue
        time.sleep(rng.random() * 1.5 * statistics.median(took))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    place, begin, many = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if len(sys.argv) > 4:
        write_and_be_killed(place, begin, many, int(sys.argv[4]))
    else:
        write(place, begin, many)
