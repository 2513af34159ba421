"""A kind of job for tests: it does as it is told. Importing this module makes it known to a process of a job."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from hepacalc.errors import HepacalcError, NotAStudy, OutputError
from hepacalc.server import work
from hepacalc.server.database import writing
from hepacalc.server.jobs import finish

COMMAND = [
    sys.executable,
    "-c",
    "import sleepy_kind; from hepacalc.server.child import main; raise SystemExit(main())",
]
"""The process of a job that knows this kind."""

work.KINDS["sleepy"] = ("sleepy_kind", "Sleepy")


class Sleepy:
    """Sleeps, dies, takes memory, fails, or writes a line."""

    def request(self, site: Any, job: Any) -> dict[str, Any]:
        return dict(job.payload)

    def run(self, request: dict[str, Any], out: Path, tell: Any) -> dict[str, Any]:
        act = request["act"]
        tell("begun", 0.1)
        if act == "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif act == "eat":
            held = bytearray(40 * 2**30)
            return {"size": len(held)}
        elif act == "sleep":
            time.sleep(60)
        elif act == "refuse":
            raise NotAStudy("nothing here.", hint="Send another.")
        elif act == "fault":
            return {}["DOE^JANE"]
        elif act == "full":
            raise OutputError("no room.", hint="Free some space.")
        elif act == "write":
            time.sleep(0.4)
            (out / "line").write_text(f"{request['n']}\n")
        return {}

    def commit(self, site: Any, job: Any, made: Path, found: dict[str, Any]) -> None:
        with writing(site.engine) as connection:
            finish(connection, job, found)
            if (made / "line").exists():
                # within the transaction: it is seen once if the state of the job is changed once
                with Path(job.payload["log"]).open("a") as log:
                    log.write((made / "line").read_text())

    def failed(self, connection: Any, job: Any, error: HepacalcError) -> None:
        return None
