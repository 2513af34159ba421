"""The network: what it sees on 4 mm cells, and what it says on 8 mm cells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from hepacalc.liver.planes import SEGMENTS
from hepacalc.liver.reader import CHANNELS, PLACES, SHAPE
from training.onnx_file import SLOPE, sealed

__all__ = ["ReaderNet", "write_reader"]

WIDTHS = (32, 48, 64, 64)
EPS = 1e-5


class _Block(nn.Module):
    """A convolution, evened out; ``plus`` is added before the activation."""

    def __init__(self, inside: int, outside: int, side: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inside, outside, side, stride, (side - 1) // 2, bias=False)
        self.norm = nn.InstanceNorm3d(outside, eps=EPS, affine=True)

    def forward(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        """See the class."""
        y = self.norm(self.conv(x))
        return nn.functional.leaky_relu(y if plus is None else y + plus, SLOPE)


class ReaderNet(nn.Module):
    """A U-Net of four levels below the grid; ``seen`` ``[N, 6, Z, Y, X]`` and ``place`` ``[N, 6, Z/2, Y/2, X/2]``.

    Returns the logarithm of the share of each segment, but for a constant ``[N, 9, Z/2, Y/2, X/2]``.
    """

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        self.stem, self.put = _Block(CHANNELS, a, 4, 2), _Block(PLACES, a, 1)
        self.e0 = _Block(a, a)
        self.d1, self.e1 = _Block(a, b, stride=2), _Block(b, b)
        self.d2, self.e2 = _Block(b, c, stride=2), _Block(c, c)
        self.d3, self.e3, self.f3 = _Block(c, d, stride=2), _Block(d, d), _Block(d, d)
        self.r2, self.u2 = _Block(d, c, 1), _Block(c, c)
        self.r1, self.u1 = _Block(c, b, 1), _Block(b, b)
        self.r0, self.u0, self.v0 = _Block(b, a, 1), _Block(a, a), _Block(a, a)
        self.head = nn.Conv3d(a, len(SEGMENTS), 1)
        nn.init.zeros_(self.head.bias)
        nn.init.normal_(self.head.weight, 0, 0.02)

    def forward(self, seen: Tensor, place: Tensor) -> Tensor:
        """See the class."""

        def twice(x: Tensor) -> Tensor:
            return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")

        x0 = self.stem(seen, self.put(place))
        x0 = self.e0(x0, x0)
        x1 = self.d1(x0)
        x1 = self.e1(x1, x1)
        x2 = self.d2(x1)
        x2 = self.e2(x2, x2)
        y = self.d3(x2)
        y = self.e3(y, y)
        y = self.f3(y, y)
        y = twice(self.r2(y)) + x2
        y = self.u2(y, y)
        y = twice(self.r1(y)) + x1
        y = self.u1(y, y)
        y = twice(self.r0(y)) + x0
        y = self.u0(y, y)
        y = self.v0(y, y)
        out: Tensor = self.head(y)
        return out


class _Graph:
    """Nodes and weights while the network is written."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights = [numpy_helper.from_array(np.array([1, 1, 2, 2, 2], np.float32), "twice")]

    def node(self, kind: str, inputs: list[str], out: str, **how: object) -> str:
        """Add a node and return the name of what it makes."""
        self.nodes.append(helper.make_node(kind, inputs, [out], **how))
        return out

    def constant(self, name: str, values: NDArray[np.floating]) -> str:
        """Add small weights, stored as float16, and return their name."""
        self.weights.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        return self.node("Cast", [f"{name}.half"], name, to=TensorProto.FLOAT)

    def kernel(self, name: str, values: NDArray[np.floating]) -> str:
        """Add the weights of a convolution, stored as int8 with a scale for each output, and return their name."""
        scale = np.maximum(np.abs(values).max(axis=(1, 2, 3, 4)) / 127, 1e-8).astype(np.float32)
        small = np.rint(values / scale[:, None, None, None, None]).astype(np.int8)
        for part, what in ((small, "small"), (scale, "scale"), (np.zeros(len(scale), np.int8), "zero")):
            self.weights.append(numpy_helper.from_array(part, f"{name}.{what}"))
        return self.node("DequantizeLinear", [f"{name}.{w}" for w in ("small", "scale", "zero")], name, axis=0)

    def conv(self, source: str, name: str, conv: nn.Conv3d) -> str:
        """Add a convolution."""
        side = conv.kernel_size[0]
        inputs = [source, self.kernel(f"{name}.weight", conv.weight.numpy())]
        if conv.bias is not None:
            inputs.append(self.constant(f"{name}.bias", conv.bias.numpy()))
        how = {"kernel_shape": [side] * 3, "pads": [(side - 1) // 2] * 6, "strides": [conv.stride[0]] * 3}
        return self.node("Conv", inputs, f"{name}.conv", **how)

    def block(self, source: str, name: str, block: _Block, plus: str | None = None) -> str:
        """Add a convolution with its normalisation and activation."""
        raw = self.conv(source, name, block.conv)
        inputs = [raw, self.constant(f"{name}.scale", block.norm.weight.numpy()),
                  self.constant(f"{name}.shift", block.norm.bias.numpy())]  # fmt: skip
        even = self.node("InstanceNormalization", inputs, f"{name}.even", epsilon=EPS)
        both = even if plus is None else self.node("Add", [even, plus], f"{name}.both")
        return self.node("LeakyRelu", [both], name, alpha=SLOPE)

    def joined(self, low: str, side: str, name: str) -> str:
        """Add ``low`` doubled to ``side``."""
        wide = self.node("Resize", [low, "", "twice"], f"{name}.wide", mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric")  # fmt: skip
        return self.node("Add", [wide, side], f"{name}.sum")


@torch.no_grad()
def write_reader(net: ReaderNet, metadata: Mapping[str, str], path: Path) -> int:
    """Write the network as ONNX with its metadata and return its size in bytes."""
    g = _Graph()

    def again(x: str, name: str) -> str:
        return g.block(x, name, getattr(net, name), x)

    x0 = again(g.block("seen", "stem", net.stem, g.block("place", "put", net.put)), "e0")
    x1 = again(g.block(x0, "d1", net.d1), "e1")
    x2 = again(g.block(x1, "d2", net.d2), "e2")
    y = again(again(g.block(x2, "d3", net.d3), "e3"), "f3")
    y = again(g.joined(g.block(y, "r2", net.r2), x2, "r2"), "u2")
    y = again(g.joined(g.block(y, "r1", net.r1), x1, "r1"), "u1")
    y = again(again(g.joined(g.block(y, "r0", net.r0), x0, "r0"), "u0"), "v0")
    g.node("Identity", [g.conv(y, "head", net.head)], "log")
    half = [n // 2 for n in SHAPE]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        g.nodes, "segments",
        [value("seen", TensorProto.FLOAT, [1, CHANNELS, *SHAPE]),
         value("place", TensorProto.FLOAT, [1, PLACES, *half])],
        [value("log", TensorProto.FLOAT, [1, len(SEGMENTS), *half])],
        g.weights,
    )  # fmt: skip
    data = sealed(graph, metadata).SerializeToString(deterministic=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return len(data)
