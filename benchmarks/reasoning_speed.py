"""Time and memory of the reasoning, and its agreement with pyAgrum, on the knowledge base that comes with hepacalc."""

from __future__ import annotations

import resource
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from tests.reason_nets import pyagrum_posterior, random_evidence, random_network

from hepacalc.knowledge.load import load_knowledge
from hepacalc.reason.change import what_would_change
from hepacalc.reason.differential import differential, posterior
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.explain import explain
from hepacalc.reason.lesions import combine_lesions
from hepacalc.reason.many import posterior_many
from hepacalc.reason.network import Network, network_of
from hepacalc.reason.next_test import TestOption, next_tests
from matching import row

PATIENTS = 1_000_000
REPEATS = 30
SETTING = "general_ct"
OWN = ("lesion", "extent", "density", "contour", "enhancement")


def rows() -> list[dict[str, Any]]:
    """Return the rows of the table; one process, NumPy on one thread if the caller says so."""
    network = network_of(load_knowledge(), "adult")
    return [*_one_patient(network), *_many_patients(network), *_agreement(network)]


def _one_patient(network: Network) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    sizes = {block: len(states) for block, states in network.states.items()}
    certain = Evidence("adult", {b: np.eye(n)[rng.integers(n)] for b, n in sizes.items()}, setting=SETTING)
    doubtful = Evidence("adult", {b: rng.random(n) + 0.01 for b, n in sizes.items()}, setting=SETTING)
    start = time.perf_counter()
    differential(certain, network)
    cold = time.perf_counter() - start
    out = [row("first differential of a process, 1,000 draws made anew, every block known", cold, "s", "", None)]
    for name, evidence in (("certain", certain), ("doubtful", doubtful)):
        what = f"all {len(sizes)} blocks known, {name}"
        bare = _milliseconds(lambda e=evidence: differential(e, network, draws=0))
        drawn = _milliseconds(lambda e=evidence: differential(e, network))
        out.append(row(f"one differential, {what}, no draws", bare, "ms", "<= 1", bare <= 1))
        out.append(row(f"one differential, {what}, 1,000 draws", drawn, "ms", "<= 50", drawn <= 50))
    some = Evidence("adult", dict(list(doubtful.weights.items())[::2]), setting=SETTING)
    ids = list(sizes)
    options = [TestOption(f"t{k}", (), tuple(rng.choice(ids, 1 + k % 8, replace=False)), 0.02) for k in range(25)]
    found = differential(some, network)
    spent = _milliseconds(lambda: next_tests(some, network, options=options, found=found))
    out.append(row("next best of 25 tests, half of the blocks known", spent, "ms", "<= 50", spent <= 50))
    knowledge = load_knowledge()
    spent = _milliseconds(lambda: next_tests(some, knowledge, found=found))
    what = f"next best of the knowledge base's {len(knowledge.tests)} tests, the same"
    out.append(row(what, spent, "ms", "<= 50", spent <= 50))
    out.append(row("explanation of 5 causes", _milliseconds(lambda: explain(doubtful, network)), "ms", "", None))
    spent = _milliseconds(lambda: what_would_change(some, network))
    out.append(row("what would change the answer", spent, "ms", "", None))
    shared = Evidence("adult", {b: w for b, w in doubtful.weights.items() if b not in OWN}, setting=SETTING)
    lesions = [Evidence("adult", {b: rng.random(sizes[b]) + 0.01 for b in OWN}) for _ in range(10)]
    spent = _milliseconds(lambda: combine_lesions(shared, lesions, network), 5)
    out.append(row("10 lesions and the patient, 1,000 draws", spent, "ms", "", None))
    return out


def _many_patients(network: Network) -> list[dict[str, Any]]:
    rng = np.random.default_rng(2)
    codes = {
        b: rng.integers(-1, len(states), PATIENTS, dtype=np.int64).astype(np.int16)
        for b, states in network.states.items()
    }
    start = time.perf_counter()
    found = posterior_many(network, SETTING, codes, threads=2)
    spent = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    off = 0.0
    for k in range(0, PATIENTS, PATIENTS // 200):
        weights = {b: np.eye(len(network.states[b]))[c[k]] for b, c in codes.items() if c[k] >= 0}
        off = max(off, float(np.abs(found[k] - posterior(Evidence("adult", weights), network, SETTING)).max()))
    return [
        row("1,000,000 patients, no draws, 2 cores", spent, "s", "<= 60", spent <= 60),
        row("peak memory of that", peak, "GB", "<= 1.5", peak <= 1.5),
        row("greatest difference to one by one (200 of them)", off, "1", "<= 1e-9", off <= 1e-9),
    ]


def _agreement(network: Network) -> list[dict[str, Any]]:
    """Greatest difference of any probability to pyAgrum's."""
    try:
        with warnings.catch_warnings():
            # its bindings warn when they are loaded
            warnings.simplefilter("ignore")
            import pyagrum  # noqa: F401
    except ImportError:
        return [row("agreement with pyAgrum: it is not installed", None, "", "<= 1e-9", None)]
    off = 0.0
    for seed in range(40):
        chance = random_network(seed, causes=5 + seed, sizes=(2 + seed % 9, 4, 3, 5, 2, 7, 4, 12), given=seed % 2 == 0)
        evidence = random_evidence(chance, seed)
        place = chance.setting_ids[seed % 2]
        wanted = pyagrum_posterior(chance, evidence, place)
        off = max(off, float(np.abs(posterior(evidence, chance, place) - wanted).max()))
    real = 0.0
    for seed in range(5):
        evidence = random_evidence(network, seed)
        place = network.setting_ids[seed % len(network.setting_ids)]
        wanted = pyagrum_posterior(network, evidence, place)
        real = max(real, float(np.abs(posterior(evidence, network, place) - wanted).max()))
    return [
        row("40 random networks: greatest difference to pyAgrum", f"{off:.1e}", "1", "<= 1e-9", off <= 1e-9),
        row("our adult network, 5 patients: the same", f"{real:.1e}", "1", "<= 1e-9", real <= 1e-9),
    ]


def _milliseconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median time of a call."""
    work()
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return float(np.median(spent) * 1000)
