"""The network: what it sees on 5 mm cells, what the anatomies say on 10 mm cells, and what it adds to that."""

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
from hepacalc.liver.reader import SHAPE

__all__ = ["CHANNELS", "ReaderNet", "write_reader"]

CHANNELS = 8
WIDTHS = (12, 32, 64, 96)
LIMIT = 3.0
"""The most that it may add to a logarithm, or take from it."""
OPSET = 17
SLOPE, EPS = 0.01, 1e-5


def _block(inside: int, outside: int, stride: int = 1, side: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inside, outside, side, stride, side // 2, bias=False),
        nn.InstanceNorm3d(outside, eps=EPS, affine=True),
        nn.LeakyReLU(SLOPE),
    )


class ReaderNet(nn.Module):
    """A U-Net of four levels; ``fine`` ``[N, 8, Z, Y, X]`` and ``coarse`` ``[N, 9, Z/2, Y/2, X/2]``.

    Returns what is to be added to the logarithm of the shares ``[N, 9, Z, Y, X]``; nearly nothing before it learns.
    """

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        said = len(SEGMENTS)
        self.b0 = nn.Sequential(_block(CHANNELS, a), _block(a, a))
        self.d1, self.b1 = _block(a, b, 2), _block(b + said, b)
        self.d2, self.b2 = _block(b, c, 2), _block(c, c)
        self.d3, self.b3 = _block(c, d, 2), _block(d, d)
        self.r2, self.u2 = _block(d, c, side=1), _block(2 * c, c)
        self.r1, self.u1 = _block(c, b, side=1), _block(2 * b, b)
        self.r0, self.u0 = _block(b, a, side=1), _block(2 * a, a)
        self.head = nn.Conv3d(a, said, 1)
        nn.init.zeros_(self.head.bias)
        nn.init.normal_(self.head.weight, 0, 0.01)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """See the class."""

        def twice(x: Tensor) -> Tensor:
            return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")

        x0 = self.b0(fine)
        x1 = self.b1(torch.cat([self.d1(x0), coarse], 1))
        x2 = self.b2(self.d2(x1))
        y = self.b3(self.d3(x2))
        y = self.u2(torch.cat([twice(self.r2(y)), x2], 1))
        y = self.u1(torch.cat([twice(self.r1(y)), x1], 1))
        y = self.u0(torch.cat([twice(self.r0(y)), x0], 1))
        out: Tensor = LIMIT * torch.tanh(self.head(y) / LIMIT)
        return out


class _Graph:
    """Nodes and weights while the network is written."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights = [
            numpy_helper.from_array(np.array([1, 1, 2, 2, 2], np.float32), "twice"),
            numpy_helper.from_array(np.array(LIMIT, np.float32), "limit"),
        ]

    def node(self, kind: str, inputs: list[str], out: str, **how: object) -> str:
        """Add a node and return the name of what it makes."""
        self.nodes.append(helper.make_node(kind, inputs, [out], **how))
        return out

    def constant(self, name: str, values: NDArray[np.floating]) -> str:
        """Add weights, stored as float16, and return their name."""
        self.weights.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        return self.node("Cast", [f"{name}.half"], name, to=TensorProto.FLOAT)

    def conv(self, source: str, name: str, weight: Tensor, bias: Tensor | None, stride: int) -> str:
        """Add a convolution."""
        side = weight.shape[2]
        inputs = [source, self.constant(f"{name}.weight", weight.numpy())]
        if bias is not None:
            inputs.append(self.constant(f"{name}.bias", bias.numpy()))
        how = {"kernel_shape": [side] * 3, "pads": [side // 2] * 6, "strides": [stride] * 3}
        return self.node("Conv", inputs, f"{name}.conv", **how)

    def block(self, source: str, name: str, block: nn.Module) -> str:
        """Add a convolution with its normalisation and activation."""
        assert isinstance(block, nn.Sequential)
        conv, norm = block[0], block[1]
        assert isinstance(conv, nn.Conv3d)
        assert isinstance(norm, nn.InstanceNorm3d)
        raw = self.conv(source, name, conv.weight, None, conv.stride[0])
        inputs = [raw, self.constant(f"{name}.scale", norm.weight.numpy()),
                  self.constant(f"{name}.shift", norm.bias.numpy())]  # fmt: skip
        even = self.node("InstanceNormalization", inputs, f"{name}.even", epsilon=EPS)
        return self.node("LeakyRelu", [even], name, alpha=SLOPE)

    def joined(self, low: str, side: str, name: str) -> str:
        """Add ``low`` doubled beside ``side``."""
        wide = self.node("Resize", [low, "", "twice"], f"{name}.wide", mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric")  # fmt: skip
        return self.node("Concat", [wide, side], f"{name}.both", axis=1)


@torch.no_grad()
def write_reader(net: ReaderNet, metadata: Mapping[str, str], path: Path) -> int:
    """Write the network as ONNX with its metadata and return its size in bytes."""
    g = _Graph()
    x0 = g.block(g.block("fine", "b00", net.b0[0]), "b01", net.b0[1])
    x1 = g.block(g.node("Concat", [g.block(x0, "d1", net.d1), "coarse"], "d1.both", axis=1), "b1", net.b1)
    x2 = g.block(g.block(x1, "d2", net.d2), "b2", net.b2)
    y = g.block(g.block(x2, "d3", net.d3), "b3", net.b3)
    y = g.block(g.joined(g.block(y, "r2", net.r2), x2, "u2"), "u2", net.u2)
    y = g.block(g.joined(g.block(y, "r1", net.r1), x1, "u1"), "u1", net.u1)
    y = g.block(g.joined(g.block(y, "r0", net.r0), x0, "u0"), "u0", net.u0)
    assert net.head.bias is not None
    y = g.conv(y, "head", net.head.weight, net.head.bias, 1)
    y = g.node("Mul", [g.node("Tanh", [g.node("Div", [y, "limit"], "small")], "bent"), "limit"], "add")
    said, half = len(SEGMENTS), [n // 2 for n in SHAPE]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        g.nodes, "segments",
        [value("fine", TensorProto.FLOAT, [1, CHANNELS, *SHAPE]), value("coarse", TensorProto.FLOAT, [1, said, *half])],
        [value("add", TensorProto.FLOAT, [1, said, *SHAPE])],
        g.weights,
    )  # fmt: skip
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="hepacalc", ir_version=8)
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString(deterministic=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return len(data)
