"""Work for executors and cohorts in tests: instant, slow, hungry, deadly; run in worker processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from hepacalc.errors import NoUsableLiver


def double(value: int) -> int:
    return 2 * value


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def eat(megabytes: int) -> int:
    held = [b"x" * 2**20 for _ in range(megabytes)]
    time.sleep(1.0)
    return len(held)


def eat_at_once(megabytes: int) -> int:
    return len(bytearray(megabytes * 2**20))


def die(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(_: Any) -> None:
    raise NoUsableLiver("no liver in 1.2.3.", hint="Send one.")


def stumble(_: Any) -> None:
    raise ZeroDivisionError("Mr. Secret")


def whoami(_: Any) -> int:
    return os.getpid()


def assess(argument: dict[str, Any]) -> dict[str, Any]:
    """Stand in for the real one: what the file says happens; every time is written down beside the root."""
    root = Path(argument["root"])
    text = (root / argument["source"]).read_bytes()[:8].decode("latin-1").strip("\0 ")
    with (root.parent / "worked.log").open("a") as log:
        log.write(argument["source"] + "\n")
    if text.startswith("dead"):
        die(None)
    if text.startswith("once") and not (flag := root.parent / f"once-{Path(argument['source']).name}").exists():
        flag.touch()
        die(None)
    if text.startswith("refuse"):
        refuse(None)
    time.sleep(0.2 if text.startswith("slow") else 0.0)
    number = len(argument["source"]) % 3
    return {
        "stages": "liver,foci,reason",
        "rows": {"studies": [{"calcifications": number, "certain": 0, "indeterminate": 0}], "foci": [], "lesions": []},
    }


def assess_fetched(argument: dict[str, Any]) -> dict[str, Any]:
    """Stand in for the real one, after a fetch from a DICOMweb server: counts images; dies once if it is told to."""
    from hepacalc.cohort.dicomweb import fetched, remote_of

    root = Path(argument["root"])
    remote = remote_of(*argument["dicomweb"])
    with fetched(remote, argument["source"], argument["extra"], argument["key"]) as folder:
        count = len(list(folder.iterdir()))
        with (root / "worked.log").open("a") as log:
            log.write(f"{argument['source']} {count} {folder}\n")
        if (flag := root / "die").exists():
            flag.unlink()
            die(None)
    rows = {"studies": [{"calcifications": count, "certain": 0, "indeterminate": 0}], "foci": [], "lesions": []}
    return {"stages": "liver,foci,reason", "rows": rows}


def drive(root: str, out: str, engine: str, workers: int) -> None:
    """Run a cohort with the stand-in."""
    from hepacalc.cohort import driver, run

    driver.ASSESS, driver.WARM = "tests.cohort_fakes:assess", "tests.cohort_fakes:ready"
    run.run_cohort(Path(root), Path(out), run.Options(engine=engine, workers=workers, threads=1, memory_mb=4000))


def ready() -> None:
    """Nothing to warm up."""


if __name__ == "__main__":
    import sys

    drive(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
