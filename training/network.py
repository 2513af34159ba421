"""The network: a small 3-D U-Net, with a head for the other organs that is only used while it learns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.cases import LABELS

__all__ = ["LiverNet", "conv_blocks", "folded_weights", "load_folded"]

WIDTHS = (8, 16, 32, 64, 64)
LAST_BIAS = -2.5


def _block(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm3d(outside), nn.LeakyReLU(0.01)
    )


class LiverNet(nn.Module):
    """Levels of 8-16-32-64-64 channels; the input is ``[N, 1, X, Y, Z]`` with sides that are multiples of 16.

    Returns in training mode the logit of liver ``[N, 1, X, Y, Z]`` and the logits of all labels at half resolution
    ``[N, 15, X/2, Y/2, Z/2]``; in evaluation mode the first alone.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stem = _block(1, widths[0])
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(nn.Sequential(_block(a, b, 2), _block(b, b)) for a, b in pairs)
        self.up = nn.ModuleList(_block(a + b, a) for a, b in pairs)
        self.head = nn.Conv3d(widths[0], 1, 1)
        self.organs = nn.Conv3d(widths[1], len(LABELS), 1)
        nn.init.constant_(self.head.bias, LAST_BIAS)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """See the class."""
        kept = [self.stem(x)]
        for step in self.down:
            kept.append(step(kept[-1]))
        y = kept.pop()
        middle = y
        for level in range(len(self.up) - 1, -1, -1):
            wide = nn.functional.interpolate(y, scale_factor=2.0, mode="nearest")
            y = self.up[level](torch.cat([wide, kept[level]], 1))
            if level == 1:
                middle = y
        logit = self.head(y)
        return (logit, self.organs(middle)) if self.training else logit


def conv_blocks(net: LiverNet) -> Iterator[tuple[nn.Conv3d, nn.BatchNorm3d]]:
    """Yield convolution and normalisation of every block in the order in which they run."""
    blocks = [net.stem, *(block for step in net.down for block in step), *reversed(list(net.up))]
    for block in blocks:
        yield block[0], block[1]


def folded_weights(net: LiverNet) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return weight and bias of every convolution as they run, normalisation folded in, the liver head last."""
    out = []
    for conv, norm in conv_blocks(net):
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = conv.weight * scale[:, None, None, None, None]
        bias = norm.bias - norm.running_mean * scale
        out.append((weight.detach().float().numpy(), bias.detach().float().numpy()))
    out.append((net.head.weight.detach().float().numpy(), net.head.bias.detach().float().numpy()))
    return [(np.ascontiguousarray(w), np.ascontiguousarray(b)) for w, b in out]


@torch.no_grad()
def load_folded(net: LiverNet, folded: list[tuple[NDArray[np.float32], NDArray[np.float32]]], samples: Tensor) -> None:
    """Start a network from weights whose normalisation was folded in.

    The statistics that the folding lost are measured again on ``samples``, so that the network computes the same as
    the folded one and goes on learning as a normalised one.

    Args:
        net: to be filled; its organ head stays as it is.
        folded: from :func:`training.onnx_file.read_members`.
        samples: ``[N, 1, X, Y, Z]`` typical input.
    """
    found: list[tuple[Tensor, Tensor]] = []
    pairs = list(conv_blocks(net))
    for (conv, norm), (weight, bias) in zip(pairs, folded[:-1], strict=True):
        conv.weight.copy_(torch.from_numpy(weight))
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
        norm.weight.fill_(1)
        norm.bias.copy_(torch.from_numpy(bias))
    net.head.weight.copy_(torch.from_numpy(folded[-1][0]))
    net.head.bias.copy_(torch.from_numpy(folded[-1][1]))

    def measure(_module: nn.Module, _inputs: object, made: Tensor) -> None:
        found.append((made.mean((0, 2, 3, 4)), made.var((0, 2, 3, 4))))

    hooks = [conv.register_forward_hook(measure) for conv, _ in pairs]
    net.eval()
    net(samples)
    for hook in hooks:
        hook.remove()
    for (_, norm), (mean, variance) in zip(pairs, found, strict=True):
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.add_(mean)
