"""One walk as the command does it, with the seconds of each stage as JSON: ``speed_walk.py STUDY OUT``.

By itself, so that nothing is loaded before the clock runs.
"""

import json
import sys
import time

start = time.perf_counter()

import hepacalc  # noqa: E402
from hepacalc.report import write_outputs  # noqa: E402

assess = hepacalc.assess  # loads what it needs
loaded = time.perf_counter()
found = assess(sys.argv[1])
assessed = time.perf_counter()
write_outputs(found, sys.argv[2])
done = time.perf_counter()
stages = {"loading": loaded - start, **dict(found.run.seconds), "report with pictures": done - assessed}
print(json.dumps({"stages": stages, "listed": len(found.foci)}))
