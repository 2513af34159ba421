"""Wall time and peak memory of a command, apart from the memory of the process that measures.

What Linux tells of a child's peak begins with the size of its parent, so the command is started by a small process of
its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

__all__ = ["cost"]

_STARTER = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
said = process.stdout.read()
_, status, usage = os.wait4(process.pid, 0)
seconds = time.perf_counter() - start
print(json.dumps([os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss * 1024, said.decode()]))
"""


def cost(command: Sequence[str]) -> tuple[float, int, str]:
    """Run a command; return wall seconds, peak memory in bytes, and what it wrote to standard output.

    Raises:
        SystemExit: the command failed.
    """
    starter = [sys.executable, "-I", "-S", "-c", _STARTER, *command]
    status, seconds, peak, said = json.loads(subprocess.run(starter, capture_output=True, check=True).stdout)
    if status != 0:
        raise SystemExit(f"{command[0]} ended with status {status}")
    return seconds, peak, said
