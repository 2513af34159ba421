"""Networks of the shape of the knowledge base, made by chance or by hand, and evidence on them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from hepacalc.reason.evidence import Evidence
from hepacalc.reason.network import CauseLabel, Network

HARMS = ("benign", "watch", "dangerous", "malignant")
Floats = NDArray[np.float64]


def random_network(
    seed: int, causes: int = 5, sizes: Sequence[int] = (2, 3, 4), *, settings: int = 2, given: bool = False
) -> Network:
    """A network of chance: sparse tables, small counts, and, if asked, a first block that settings take as given."""
    rng = np.random.default_rng(seed)
    blocks = {f"b{k}": tuple(f"s{n}" for n in range(size)) for k, size in enumerate(sizes)}
    alpha = {block: rng.dirichlet(np.full(len(s), 0.5), causes) * 8 for block, s in blocks.items()}
    labels = tuple(CauseLabel((("en", f"cause {k}"),), HARMS[k % 4], "allowed") for k in range(causes))
    prior = {f"p{k}": (rng.dirichlet(np.full(causes, 0.7)), np.full(causes, 3.0)) for k in range(settings)}
    facts = {"p1": {"b0": blocks["b0"][: max(1, len(blocks["b0"]) - 1)]}} if given else {}
    return Network("adult", tuple(f"c{k}" for k in range(causes)), labels, blocks, alpha, prior, facts)


def network_by_hand(
    tables: Mapping[str, Mapping[str, Sequence[float]]],
    prior: Mapping[str, float],
    *,
    harm: Mapping[str, str] | None = None,
    needle: Mapping[str, str] | None = None,
    ess: float = 20.0,
    given: Mapping[str, tuple[str, ...]] | None = None,
    axes: Mapping[str, Mapping[str, tuple[str, ...]]] | None = None,
) -> Network:
    """``tables``: block -> cause -> shares of its states, which are called s0, s1 ...; one setting, ``p``."""
    causes = tuple(prior)
    states: dict[str, tuple[str, ...]] = {}
    for block, rows in tables.items():
        grid = (axes or {}).get(block)
        states[block] = (
            tuple("/".join(parts) for parts in itertools.product(*grid.values()))
            if grid
            else tuple(f"s{n}" for n in range(len(next(iter(rows.values())))))
        )
    return Network(
        "adult",
        causes,
        tuple(
            CauseLabel((("en", cause),), (harm or {}).get(cause, "benign"), (needle or {}).get(cause, "allowed"))
            for cause in causes
        ),
        states,
        {block: ess * np.array([rows[cause] for cause in causes], float) for block, rows in tables.items()},
        {"p": (np.array(list(prior.values()), float), np.full(len(causes), 3.0))},
        {"p": given} if given else {},
        axes or {},
    )


def hard(network: Network, **states: int) -> Evidence:
    """Evidence on the first setting: one state index for each block named."""
    weights = {block: np.eye(len(network.states[block]))[state] for block, state in states.items()}
    return Evidence(network.name, weights, setting=network.setting_ids[0])


@st.composite
def networks_with_evidence(draw: st.DrawFn) -> tuple[Network, Evidence]:
    """A network of chance with hard, soft, flat or no evidence on each block, in any order."""
    sizes = draw(st.lists(st.integers(2, 5), min_size=1, max_size=5))
    network = random_network(draw(st.integers(0, 10_000)), draw(st.integers(2, 7)), sizes, given=draw(st.booleans()))
    weights = {}
    for block in draw(st.permutations(network.block_ids)):
        count = len(network.states[block])
        kind = draw(st.sampled_from(["hard", "soft", "flat", "none"]))
        if kind == "hard":
            weights[block] = np.eye(count)[draw(st.integers(0, count - 1))]
        elif kind == "soft":
            # the first state stays possible, so that no setting is contradicted
            rest = draw(st.lists(st.floats(0, 1), min_size=count - 1, max_size=count - 1))
            weights[block] = np.array([draw(st.floats(0.01, 1)), *rest])
        elif kind == "flat":
            weights[block] = np.full(count, draw(st.floats(0.1, 3)))
    return network, Evidence(network.name, weights, setting=draw(st.sampled_from(network.setting_ids)))


def by_enumeration(network: Network, evidence: Evidence, setting: str) -> Floats:
    """The posterior by summing the joint law over every combination of states, written without the library's tables."""
    shares = network.prior[setting][0]
    causes = len(shares)
    prior = 0.999 * shares / shares.sum() + 0.001 / causes
    rows = []
    for block, names in network.states.items():
        keep = np.array([name in network.given.get(setting, {}).get(block, names) for name in names])
        alpha = network.alpha[block] * keep
        rows.append(0.999 * alpha / alpha.sum(axis=1, keepdims=True) + 0.001 * keep / keep.sum())
    total = np.zeros(causes)
    for combination in itertools.product(*[range(len(names)) for names in network.states.values()]):
        weight, joint = 1.0, prior.copy()
        for block, state, p in zip(network.states, combination, rows, strict=True):
            weight *= float(evidence.weights[block][state]) if block in evidence.weights else 1.0
            joint = joint * p[:, state]
        total += weight * joint
    return total / total.sum()


def random_evidence(network: Network, seed: int) -> Evidence:
    """Evidence of chance: hard, soft or none on each block."""
    rng = np.random.default_rng(seed)
    weights = {}
    for block, states in network.states.items():
        kind = rng.integers(3)
        if kind == 0:
            # hard, and inside what every setting gives
            weights[block] = np.eye(len(states))[rng.integers(max(1, len(states) - 1))]
        elif kind == 1:
            weights[block] = rng.random(len(states)) + 0.001
    return Evidence(network.name, weights, setting=network.setting_ids[seed % 2])


def pyagrum_posterior(network: Network, evidence: Evidence, setting: str) -> Floats:
    """The posterior by pyAgrum: setting -> cause -> blocks, soft evidence as likelihoods. Needs pyAgrum."""
    import pyagrum as gum

    net = gum.BayesNet()
    net.add(gum.LabelizedVariable("setting", "", list(network.setting_ids)))
    net.add(gum.LabelizedVariable("cause", "", list(network.cause_ids)))
    net.addArc("setting", "cause")
    net.cpt("setting").fillWith(1).normalize()
    for place in network.setting_ids:
        net.cpt("cause")[{"setting": place}] = network.prior_mean(place).tolist()
    for block, names in network.states.items():
        net.add(gum.LabelizedVariable(block, "", list(names)))
        net.addArc("setting", block)
        net.addArc("cause", block)
        for place in network.setting_ids:
            table = network.tables(place)[block].p
            for k, cause in enumerate(network.cause_ids):
                net.cpt(block)[{"setting": place, "cause": cause}] = table[:, k].tolist()
    engine = gum.LazyPropagation(net)
    engine.setEvidence({"setting": setting, **{block: list(w) for block, w in evidence.weights.items()}})
    engine.makeInference()
    return np.array(engine.posterior("cause").tolist())
