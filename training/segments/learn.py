"""Teach the network: cross-entropy of the true segments, given what the anatomies say and what the network adds."""

from __future__ import annotations

import copy
import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from training.segments.batches import Sample, laid
from training.segments.draw import FIRST_SEED, Drawn
from training.segments.network import ReaderNet

__all__ = ["learn", "loss_of", "right"]

BATCH = 2
BESIDE = 0.2
"""Weight of places beside the liver."""
WARM_UP, DECAY, KEEP = 30, 1e-3, 0.98
FALL = 0.4
"""In the last part of the time the learning rate falls to nearly nothing."""


def loss_of(added: Tensor, samples: list[Sample]) -> Tensor:
    """Return the mean cross-entropy over liver and its surroundings, the latter with less weight."""
    base, label, own = (torch.stack([getattr(s, name) for s in samples]) for name in ("base", "label", "own"))
    weight = torch.where(own, 1.0, BESIDE) * (label >= 0)
    each = F.cross_entropy(base + added, label.clamp(min=0), reduction="none")
    return (each * weight).sum() / weight.sum()


def right(added: Tensor, sample: Sample) -> float:
    """Return the share of the liver whose likeliest segment is the true one; 0 added: by the anatomies alone."""
    inside = sample.own & (sample.label >= 0)
    return float(((sample.base + added).argmax(0) == sample.label)[inside].float().mean())


def learn(
    samples: Path, run: Path, seconds: float, *, rate: float = 3e-3, kept_aside: int = 8, seed: int = 5,
    tell: Callable[[str], None] = print,
) -> ReaderNet:  # fmt: skip
    """Teach a network for some time, write ``reader.pt`` and ``log.csv``, and return its running mean.

    The schedule follows the clock, and samples that are drawn meanwhile are taken in: the same seed does not give the
    same weights on another day.

    Args:
        samples: folder of drawn livers, ``SEED_VARIANT.npz``.
        run: folder for what comes out.
        seconds: how long.
        rate: highest learning rate.
        kept_aside: the first so many livers are not learnt from; each 100 steps they are read.
        seed: of warps and first weights.
        tell: is given a line now and then.
    """
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = ReaderNet()
    mean = copy.deepcopy(net).eval()
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=DECAY)
    stream = _stream(samples, kept_aside, rng)
    began, step, rows = time.monotonic(), 0, []
    while (part := (time.monotonic() - began) / seconds) < 1:
        batch = [laid(next(stream), rng) for _ in range(BATCH)]
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / WARM_UP, 0.02 + (1 - part) / FALL)
        net.train()
        with torch.autocast("cpu", torch.bfloat16):
            added = net(torch.stack([s.fine for s in batch]), torch.stack([s.coarse for s in batch]))
        loss = loss_of(added.float(), batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimizer.step()
        _follow(mean, net, min(KEEP, (step + 1) / (step + 5)))
        step += 1
        now = [np.mean([right(torch.zeros(()), s) for s in batch])]
        now += [np.mean([right(a.detach().float(), s) for a, s in zip(added, batch, strict=True)])]
        rows.append((loss.item(), *now))
        if step % 20 == 0:
            _log(run / "log.csv", step, time.monotonic() - began, *np.mean(rows, axis=0))
            rows = []
        if step % 100 == 0:
            torch.save(mean.state_dict(), run / "reader.pt")
            tell(f"step {step}: {_aside(mean, samples, kept_aside)}")
    torch.save(mean.state_dict(), run / "reader.pt")
    tell(f"step {step}, the last: {_aside(mean, samples, kept_aside)}")
    return mean


def _stream(samples: Path, kept_aside: int, rng: np.random.Generator) -> Iterator[Drawn]:
    """Yield what was drawn, in another order each time round."""
    known: dict[Path, Drawn] = {}
    while True:
        paths = [p for p in sorted(samples.glob("*_?.npz")) if not _is_aside(p, kept_aside)]
        if not paths:
            raise ValueError(f"wanted drawn livers in {samples}, found none to learn from: draw more of them first")
        rng.shuffle(paths)  # type: ignore[arg-type]
        for path in paths:
            if path not in known:
                known[path] = Drawn.load(path)
            yield known[path]


def _is_aside(path: Path, kept_aside: int) -> bool:
    return int(path.stem.split("_")[0]) < FIRST_SEED + kept_aside


@torch.no_grad()
def _aside(net: ReaderNet, samples: Path, kept_aside: int) -> str:
    """Return how right the anatomies and the network are in livers that are not learnt from."""
    found = []
    for path in sorted(samples.glob("*_?.npz")):
        if _is_aside(path, kept_aside):
            sample = laid(Drawn.load(path))
            added = net(sample.fine[None], sample.coarse[None])[0]
            found.append((right(torch.zeros(()), sample), right(added, sample)))
    if not found:
        return "none kept aside"
    before, after = np.mean(found, axis=0)
    return f"{len(found)} kept aside, right {before:.4f} by the anatomies, {after:.4f} by the network"


@torch.no_grad()
def _follow(mean: ReaderNet, net: ReaderNet, keep: float) -> None:
    """Move the running mean of the weights."""
    for old, new in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
        old.lerp_(new, 1 - keep)


def _log(path: Path, step: int, *values: float) -> None:
    fresh = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if fresh:
            writer.writerow(("step", "seconds", "loss", "right_by_anatomies", "right"))
        writer.writerow([step, *(f"{v:.6g}" for v in values)])
