"""A Ray cluster of two nodes on this machine, and a cohort on it: ``python -m benchmarks.cohort_nodes ROOT OUT 0``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hepacalc.cohort.ray_settings import set_quiet
from hepacalc.cohort.run import Options, run_cohort

ADDRESS = "127.0.0.2"
"""A loopback address that Ray does not replace by an outer one."""
TRIES = 3


@contextmanager
def two_nodes() -> Iterator[Callable[[], None]]:
    """Start a cluster of two nodes of one core and connect to it; give what kills the second one with signal 9."""
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "60")
    set_quiet()
    import ray
    from ray.cluster_utils import Cluster

    from hepacalc.cohort.ray import Tried

    arguments = {"num_cpus": 1, "node_ip_address": ADDRESS, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**arguments, "include_dashboard": False})
    second = None
    for _ in range(TRIES):
        # Ray gives the agents of a node 15 s, which a busy machine may not have
        with Tried() as tried:
            second = cluster.add_node(**arguments)
        if tried.error is None:
            break
    else:
        raise SystemExit(f"the second node did not start: {tried.error}")
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR", _node_ip_address=ADDRESS)
    try:
        yield lambda: cluster.remove_node(second, allow_graceful=False)
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    with two_nodes():
        run_cohort(Path(sys.argv[1]), Path(sys.argv[2]), Options(engine="ray", workers=2, threads=1))
