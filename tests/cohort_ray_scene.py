"""A run on a Ray cluster of two nodes on this machine, one of them killed in the middle; told as JSON.

Run as a script, so that Ray and what it starts stay out of the test's own process:
``python -m tests.cohort_ray_scene ROOT OUT KILL_AFTER``.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from benchmarks.cohort_nodes import two_nodes

from hepacalc.cohort import driver, run


def main(root: Path, out: Path, kill_after: int) -> None:
    driver.ASSESS, driver.WARM = "tests.cohort_fakes:assess", "tests.cohort_fakes:ready"
    log = root.parent / "worked.log"
    killed: list[int] = []
    with two_nodes() as kill_one:
        import ray

        def kill() -> None:
            while not log.exists() or len(log.read_text().splitlines()) < kill_after:
                time.sleep(0.05)
            kill_one()
            killed.append(len(log.read_text().splitlines()))

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        found = run.run_cohort(root, out, run.Options(engine="ray", workers=2, threads=1, memory_mb=4000))
        killer.join(60)
        nodes = 2
        end = time.monotonic() + 90  # Ray counts a node among the living until several heartbeats are missed
        while nodes > 1 and time.monotonic() < end:
            nodes = sum(bool(node["Alive"]) for node in ray.nodes())
            time.sleep(0.5)
    print(json.dumps({"counts": found.counts, "failures": found.failures, "killed": killed, "nodes": nodes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
