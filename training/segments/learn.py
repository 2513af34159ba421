"""Teach the network: cross-entropy of the true segments at places in and about the liver."""

from __future__ import annotations

import copy
import csv
import math
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

__all__ = ["at_places", "learn"]

BATCH = 4
POOL = 40
"""Half of a batch was seen once before, about so many samples ago: drawing one costs as much as learning from it."""
WARM_UP, DECAY, KEEP = 60, 1e-2, 0.995
EVERY = 50


def at_places(log: Tensor, at: Tensor) -> Tensor:
    """Return the network's answer ``(N, 9, z, y, x)`` at places ``(N, n, 3)`` of :class:`Sample` as ``(N, 9, n)``."""
    return F.grid_sample(log, at[:, :, None, None], padding_mode="border", align_corners=False)[..., 0, 0]


def learn(
    livers: Path, run: Path, seconds: float, *, after: Path | None = None, rate: float = 3e-3, kept_aside: int = 12,
    seed: int = 5, tell: Callable[[str], None] = print,
) -> ReaderNet:  # fmt: skip
    """Teach a network for some time, write ``reader.pt`` and ``log.csv``, and return its running mean.

    The schedule follows the clock, and livers that are drawn meanwhile are taken in: the same seed does not give the
    same weights on another day. A run that was cut goes on where its last checkpoint was, with the time that is left.

    Args:
        livers: folder of drawn livers, ``SEED.npz``.
        run: folder for what comes out.
        seconds: how long.
        after: weights to begin with, ``reader.pt`` of another run; none: from scratch.
        rate: highest learning rate.
        kept_aside: of so many livers from the first on nothing is learnt.
        seed: of weights and samples.
        tell: is given a line now and then.
    """
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    net = ReaderNet()
    if after is not None:
        net.load_state_dict(torch.load(after, weights_only=True))
    mean = copy.deepcopy(net).eval()
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=DECAY)
    step, before = 0, 0.0
    state = run / "checkpoint.pt"
    if state.exists():
        kept = torch.load(state, weights_only=True)
        net.load_state_dict(kept["net"])
        mean.load_state_dict(kept["mean"])
        optimizer.load_state_dict(kept["optimizer"])
        step, before = kept["step"], kept["seconds"]
    rng = np.random.default_rng([seed, step])
    stream = _stream(livers, kept_aside, rng)
    began, rows = time.monotonic() - before, []
    pool: list[Sample] = []

    def keep() -> None:
        torch.save(mean.state_dict(), run / "reader.pt")
        kept = {"net": net.state_dict(), "mean": mean.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
        torch.save({**kept, "seconds": time.monotonic() - began}, state.with_suffix(".part"))
        state.with_suffix(".part").replace(state)

    while (part := (time.monotonic() - began) / seconds) < 1:
        batch = [laid(next(stream), rng) for _ in range(BATCH // 2 if len(pool) >= POOL else BATCH)]
        again = [pool.pop(rng.integers(len(pool))) for _ in range(BATCH - len(batch))]
        pool += batch
        batch += again
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / WARM_UP) * (0.01 + 0.99 * math.cos(math.pi / 2 * part) ** 2)
        net.train()
        with torch.autocast("cpu", torch.bfloat16):
            log = net(_stacked(batch, "seen"), _stacked(batch, "place"))
        said = at_places(log.float(), _stacked(batch, "at"))
        label, weight = _stacked(batch, "label"), _stacked(batch, "weight")
        loss = (F.cross_entropy(said, label, reduction="none") * weight).sum() / weight.sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimizer.step()
        step += 1
        _follow(mean, net, min(KEEP, (step + 1) / (step + 10)))
        rows.append((loss.item(), float((said.argmax(1) == label)[weight == 1].float().mean())))
        if step % EVERY == 0:
            _log(run / "log.csv", step, time.monotonic() - began, *np.mean(rows, axis=0))
            rows = []
        if step % (4 * EVERY) == 0:
            keep()
            tell(f"step {step}: {_aside(mean, livers, kept_aside)}")
    keep()
    tell(f"step {step}, the last: {_aside(mean, livers, kept_aside)}")
    return mean


def _stacked(batch: list[Sample], name: str) -> Tensor:
    return torch.stack([getattr(sample, name) for sample in batch])


def _stream(livers: Path, kept_aside: int, rng: np.random.Generator) -> Iterator[Drawn]:
    """Yield what was drawn, in another order each time round."""
    known: dict[Path, Drawn] = {}
    while True:
        paths = [p for p in _drawn(livers) if not _is_aside(p, kept_aside)]
        if not paths:
            raise ValueError(f"wanted drawn livers in {livers}, found none to learn from: draw more of them first")
        for number in rng.permutation(len(paths)):
            path = paths[number]
            if path not in known:
                known[path] = Drawn.load(path)
            yield known[path]


def _drawn(livers: Path) -> list[Path]:
    return sorted(p for p in livers.glob("*.npz") if p.stem.isdigit())


def _is_aside(path: Path, kept_aside: int) -> bool:
    return int(path.stem) < FIRST_SEED + kept_aside


@torch.no_grad()
def _aside(net: ReaderNet, livers: Path, kept_aside: int) -> str:
    """Return how right the network is in livers that are not learnt from, and its mean cross-entropy there."""
    found = []
    for path in _drawn(livers):
        if _is_aside(path, kept_aside):
            sample = laid(Drawn.load(path), np.random.default_rng(0), warped=False)
            said = at_places(net(sample.seen[None], sample.place[None]), sample.at[None])[0]
            inside = sample.weight == 1
            right = float((said.argmax(0) == sample.label)[inside].float().mean())
            found.append((right, float(F.cross_entropy(said.T[inside], sample.label[inside]))))
    return (
        "none kept aside"
        if not found
        else "{} kept aside, right {:.4f}, loss {:.4f}".format(len(found), *np.mean(found, axis=0))
    )


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
            writer.writerow(("step", "seconds", "loss", "right"))
        writer.writerow([step, *(f"{v:.6g}" for v in values)])
