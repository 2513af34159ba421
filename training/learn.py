"""The training loop: steps, checkpoints, exact resume.

What a step does depends on nothing but the checkpoint and the samples, so a run that is stopped and resumed gives the
same weights as one that was not.
"""

from __future__ import annotations

import copy
import csv
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from training.cases import LABELS, OTHER
from training.network import LiverNet, load_folded
from training.onnx_file import read_members
from training.samples import CHUNK, Sample, read_chunk

__all__ = ["Batch", "Plan", "Run", "losses", "sample_stream"]

BATCH = 2
LAYOUT = torch.channels_last_3d
FAR = -1e9


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do.

    Args:
        steps: until the learning rate has fallen to nothing.
        lr: its highest value.
        leave_out: names of cases whose samples are not used, with commas between them.
        first_sample: where in the series of samples to begin.
        start: weights to start from: a liver ONNX or another run's checkpoint; None: from scratch.
        organs: weight of the loss of the organ head.
        seed: of the first weights.
        warm_up: steps in which the learning rate rises.
        decay: of the weights (AdamW).
        keep: of the running mean of weights.
    """

    steps: int
    lr: float = 4e-3
    leave_out: str = ""
    first_sample: int = 0
    start: str | None = None
    organs: float = 0.25
    seed: int = 0
    warm_up: int = 60
    decay: float = 1e-4
    keep: float = 0.997

    def rate(self, step: int) -> float:
        """Return the learning rate of a step: a rise, then a cosine down to 1 %."""
        if step < self.warm_up:
            return self.lr * (step + 1) / self.warm_up
        part = min((step - self.warm_up) / max(self.steps - self.warm_up, 1), 1.0)
        return self.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Samples as the network takes them: input, share of liver, labels at half resolution, labels that may hide."""

    x: Tensor
    liver: Tensor
    labels: Tensor
    allowed: Tensor

    @classmethod
    def of(cls, samples: list[Sample]) -> Batch:
        """Stack samples."""
        x = torch.from_numpy(np.stack([s.x for s in samples]).astype(np.float32))[:, None]
        liver = torch.from_numpy(np.stack([s.liver for s in samples]).astype(np.float32) / 255)[:, None]
        labels = torch.from_numpy(np.stack([s.labels[::2, ::2, ::2] for s in samples]).astype(np.int64))
        allowed = torch.eye(len(LABELS), dtype=torch.bool).repeat(len(samples), 1, 1)
        for k, sample in enumerate(samples):
            allowed[k, OTHER, list(sample.missing)] = True
        return cls(x.to(memory_format=LAYOUT), liver, labels, allowed)


def sample_stream(folder: Path, first: int, leave_out: str, wait_s: float) -> Iterator[tuple[int, Sample]]:
    """Yield the samples from number ``first`` on with the number after each, without those of some cases."""
    number, left = first, set(leave_out.split(","))
    while True:
        for sample in read_chunk(folder, number // CHUNK, wait_s=wait_s)[number % CHUNK :]:
            number += 1
            if sample.case not in left:
                yield number, sample


def losses(logit: Tensor, organs: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return cross-entropy and 1 - soft Dice of the liver, and the cross-entropy of the organs.

    Where a label may hide organs that nobody marked, the probability of any of them counts as right.
    """
    logit = logit.float()
    bce = F.binary_cross_entropy_with_logits(logit, batch.liver)
    p = torch.sigmoid(logit)
    overlap = 2 * (p * batch.liver).sum((1, 2, 3, 4)) + 50
    dice = 1 - (overlap / (p.sum((1, 2, 3, 4)) + batch.liver.sum((1, 2, 3, 4)) + 50)).mean()
    logs = torch.log_softmax(organs.float().movedim(1, -1), -1)
    sets = torch.stack([allowed[labels] for allowed, labels in zip(batch.allowed, batch.labels, strict=True)])
    organ = -torch.logsumexp(logs.masked_fill(~sets, FAR), -1).mean()
    return bce, dice, organ


class Run:
    """A run in a folder: ``plan.json``, ``checkpoint.pt``, ``log.csv``.

    Args:
        folder: of the run; made when it is not there, resumed when it holds a checkpoint.
        samples: folder of the samples.
        plan: what to do; of a resumed run only ``steps`` may differ from what it began with.
        wait_s: how long to wait for samples.

    Raises:
        ValueError: the folder holds another run.
    """

    COLUMNS = ("step", "seconds", "lr", "loss", "bce", "dice", "organs")

    def __init__(self, folder: Path, samples: Path, plan: Plan, *, wait_s: float = 900.0) -> None:
        self.folder, self.samples, self.plan, self.wait_s = folder, samples, plan, wait_s
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(plan.seed)
        self.net = LiverNet().to(memory_format=LAYOUT)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=plan.lr, weight_decay=plan.decay)
        self.step, self.cursor, self.seconds = 0, plan.first_sample, 0.0
        self.stopped = False
        kept = folder / "checkpoint.pt"
        if kept.exists():
            state = torch.load(kept, weights_only=True)
            began = json.loads((folder / "plan.json").read_text("utf-8"))
            changed = {k for k, v in asdict(plan).items() if began.get(k) != v} - {"steps"}
            if changed:
                raise ValueError(f"{folder} holds a run with another {', '.join(sorted(changed))}")
            self.net.load_state_dict(state["net"])
            self.smooth = copy.deepcopy(self.net)
            self.smooth.load_state_dict(state["smooth"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.cursor, self.seconds = state["step"], state["cursor"], state["seconds"]
            self._forget_later()
        else:
            self._begin()
            self.smooth = copy.deepcopy(self.net)
        self.smooth.eval()
        (folder / "plan.json").write_text(json.dumps(asdict(plan), indent=1), "utf-8")

    def _begin(self) -> None:
        start = self.plan.start
        if start is None:
            return
        if start.endswith(".onnx"):
            stream = sample_stream(self.samples, 0, self.plan.leave_out, self.wait_s)
            typical = Batch.of([next(stream)[1] for _ in range(16)]).x
            load_folded(self.net, read_members(Path(start))[0], typical)
        else:
            self.net.load_state_dict(torch.load(start, weights_only=True)["smooth"])

    def save(self) -> None:
        """Write the checkpoint, never half of one."""
        state = {
            "net": self.net.state_dict(), "smooth": self.smooth.state_dict(), "step": self.step,
            "optimizer": self.optimizer.state_dict(), "cursor": self.cursor, "seconds": self.seconds,
        }  # fmt: skip
        partial = self.folder / "checkpoint.part"
        torch.save(state, partial)
        partial.replace(self.folder / "checkpoint.pt")

    def advance(self, stream: Iterator[tuple[int, Sample]]) -> tuple[float, float, float]:
        """Do one step and return its losses."""
        drawn = [next(stream) for _ in range(BATCH)]
        batch = Batch.of([sample for _, sample in drawn])
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate(self.step)
        self.net.train()
        with torch.autocast("cpu", torch.bfloat16):
            logit, organs = self.net(batch.x)
        bce, dice, organ = losses(logit, organs, batch)
        self.optimizer.zero_grad(set_to_none=True)
        (2 * bce + dice + self.plan.organs * organ).backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
        self.optimizer.step()
        self._smoothen()
        self.step += 1
        self.cursor = drawn[-1][0]
        return bce.item(), dice.item(), organ.item()

    @torch.no_grad()
    def _smoothen(self) -> None:
        # the mean follows closely at first, or it would keep random first weights for long
        share = (
            1 - min(self.plan.keep, (self.step + 1) / (self.step + 10))
            if self.plan.start is None
            else (1 - self.plan.keep)
        )
        now = self.net.state_dict()
        for name, value in self.smooth.state_dict().items():
            if value.is_floating_point():
                value.lerp_(now[name], share)
            else:
                value.copy_(now[name])

    def go(self, until: int, *, save_every_s: float = 300.0, tell: Callable[[str], None] | None = None) -> None:
        """Train up to step ``until``, or until ``stopped`` is set, and save.

        Args:
            until: step to stop at.
            save_every_s: seconds between checkpoints.
            tell: is given a line each 20 steps.
        """
        stream = sample_stream(self.samples, self.cursor, self.plan.leave_out, self.wait_s)
        began = saved = time.monotonic()
        before = self.seconds
        rows: list[tuple[float, float, float]] = []
        while self.step < until and not self.stopped:
            rows.append(self.advance(stream))
            now = time.monotonic()
            self.seconds = before + now - began
            if self.step % 20 == 0 or self.step == until:
                bce, dice, organ = (float(v) for v in np.mean(rows, 0))
                loss = 2 * bce + dice + self.plan.organs * organ
                self._log(self.step, self.seconds, self.plan.rate(self.step - 1), loss, bce, dice, organ)
                if tell:
                    tell(
                        f"{self.step} {self.seconds:.0f} s loss {loss:.4f} bce {bce:.4f} dice {dice:.4f} "
                        f"organs {organ:.3f}"
                    )
                rows = []
            if now - saved > save_every_s:
                self.save()
                saved = now
        self.save()

    def _forget_later(self) -> None:
        """Take out of the log what was done after the checkpoint and is done again."""
        path = self.folder / "log.csv"
        if path.exists():
            head, *rows = path.read_text("utf-8").splitlines()
            kept = [row for row in rows if int(row.split(",")[0]) <= self.step]
            path.write_text("\n".join([head, *kept]) + "\n", "utf-8")

    def _log(self, step: int, *values: float) -> None:
        path = self.folder / "log.csv"
        fresh = not path.exists()
        with path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if fresh:
                writer.writerow(self.COLUMNS)
            writer.writerow([step, *(f"{v:.6g}" for v in values)])
