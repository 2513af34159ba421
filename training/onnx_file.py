"""Write the network as ONNX by hand: a few nodes, weights stored as float16, and a record of what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["SLOPE", "Folded", "build_model", "read_members", "sealed", "write_model"]

Folded = Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]
OPSET = 17
SLOPE = 0.01
LEFT = np.array([[[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]], np.float32)
"""Of the even and odd voxels of an array that was doubled, what a tap before doubling gets of the three taps after."""


class _Drawing:
    """Nodes and weights of a graph while it is drawn."""

    def __init__(self, half: bool) -> None:
        self.half = half
        self.nodes: list[onnx.NodeProto] = []
        self.weights = [numpy_helper.from_array(np.array([1, 1, 2, 2, 2], np.float32), "twice")]

    def constant(self, name: str, values: NDArray[np.float32]) -> str:
        """Add weights and return their name."""
        if not self.half:
            self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
            return name
        self.weights.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        self.nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
        return name

    def convolve(
        self, source: str, pair: tuple[NDArray[np.float32], NDArray[np.float32]], out: str, stride: int
    ) -> str:
        """Add a convolution."""
        size = pair[0].shape[2]
        inputs = [source, self.constant(f"{out}.weight", pair[0]), self.constant(f"{out}.bias", pair[1])]
        how = {"kernel_shape": [size] * 3, "pads": [size // 2] * 6, "strides": [stride] * 3}
        self.nodes.append(helper.make_node("Conv", inputs, [out], **how))
        return out

    def block(
        self, source: str, pair: tuple[NDArray[np.float32], NDArray[np.float32]], out: str, stride: int = 1
    ) -> str:
        """Add a convolution with its activation."""
        raw = self.convolve(source, pair, f"{out}.conv", stride)
        self.nodes.append(helper.make_node("LeakyRelu", [raw], [out], alpha=SLOPE))
        return out

    def network(self, folded: Folded, name: str, out: str) -> None:
        """Add a network from ``x`` to ``out``."""
        levels = (len(folded) - 2) // 3
        kept = [self.block("x", folded[0], f"{name}level0")]
        for level in range(1, levels + 1):
            first = self.block(kept[-1], folded[2 * level - 1], f"{name}down{level}", 2)
            kept.append(self.block(first, folded[2 * level], f"{name}level{level}"))
        y = kept.pop()
        for k, level in enumerate(range(levels - 1, 0, -1)):
            how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            self.nodes.append(helper.make_node("Resize", [y, "", "twice"], [f"{name}wide{level}"], **how))
            both = f"{name}both{level}"
            self.nodes.append(helper.make_node("Concat", [f"{name}wide{level}", kept[level]], [both], axis=1))
            y = self.block(both, folded[2 * levels + 1 + k], f"{name}up{level}")
        # at full size alone does this save much; below, the larger kernels cost more than it saves
        y = self.up_block(y, kept[0], folded[-2], f"{name}up0")
        self.convolve(y, folded[-1], out, 1)

    def up_block(self, low: str, kept: str, pair: tuple[NDArray[np.float32], NDArray[np.float32]], out: str) -> str:
        """Add the block after ``low`` is doubled and laid beside ``kept``, without an array that holds both.

        Both are convolved by themselves, ``low`` before it is doubled: each of the eight voxels that one becomes has
        taps of its own, which are sums of those after doubling. The result is the same, in half the memory.
        """
        weight, bias = pair
        wide, inner = weight.shape[0], weight.shape[1] - weight.shape[0]
        whole = self.constant(f"{out}.conv.weight", weight)
        parts = [f"{out}.of_low", f"{out}.of_kept"]
        self.node("Split", [whole, self.numbers(f"{out}.sizes", [inner, wide])], *parts, axis=1)
        biased = [kept, parts[1], self.constant(f"{out}.conv.bias", bias)]
        self.node("Conv", biased, f"{out}.side", kernel_shape=[3] * 3, pads=[1] * 6)
        taps = np.einsum("aij,bkl,cmn->abcikmjln", LEFT, LEFT, LEFT).reshape(216, 27)
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(taps.T), f"{out}.taps"))
        flat = self.reshaped(parts[0], f"{out}.flat", [wide, inner, 27])
        self.node("MatMul", [flat, f"{out}.taps"], f"{out}.eightfold")
        eight = self.reshaped(f"{out}.eightfold", f"{out}.eight", [wide, inner, 8, 27])
        self.node("Transpose", [eight], f"{out}.first", perm=[2, 0, 1, 3])
        kernels = self.reshaped(f"{out}.first", f"{out}.kernels", [8 * wide, inner, 3, 3, 3])
        self.node("Conv", [low, kernels], f"{out}.voxels", kernel_shape=[3] * 3, pads=[1] * 6)
        self.node("Shape", [low], f"{out}.size", start=2)
        self.node("Concat", [self.numbers(f"{out}.halves", [2, 2, 2, wide]), f"{out}.size"], f"{out}.apart", axis=0)
        self.node("Reshape", [f"{out}.voxels", f"{out}.apart"], f"{out}.split")
        self.node("Transpose", [f"{out}.split"], f"{out}.woven", perm=[3, 4, 0, 5, 1, 6, 2])
        self.node("Shape", [f"{out}.side"], f"{out}.full")
        self.node("Reshape", [f"{out}.woven", f"{out}.full"], f"{out}.doubled")
        self.node("Add", [f"{out}.side", f"{out}.doubled"], f"{out}.conv")
        self.node("LeakyRelu", [f"{out}.conv"], out, alpha=SLOPE)
        return out

    def node(self, kind: str, inputs: Sequence[str], *outputs: str, **how: object) -> None:
        """Add a node."""
        self.nodes.append(helper.make_node(kind, list(inputs), list(outputs), **how))

    def numbers(self, name: str, values: Sequence[int]) -> str:
        """Add whole numbers and return their name."""
        self.weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def reshaped(self, source: str, out: str, shape: Sequence[int]) -> str:
        """Add a change of shape."""
        self.node("Reshape", [source, self.numbers(f"{out}.shape", shape)], out)
        return out


def build_model(members: Sequence[Folded], metadata: Mapping[str, str], *, half: bool = True) -> onnx.ModelProto:
    """Return one network, or the mean of several, with input ``x`` and output ``logit``, ``[1, 1, X, Y, Z]`` float32.

    Args:
        members: for each network weight and bias of its convolutions in the order in which they run, the head last: the
            stem, two for each level down, one for each level up.
        metadata: goes into the file.
        half: store weights as float16 (computed in float32 all the same).
    """
    drawing = _Drawing(half)
    if len(members) == 1:
        drawing.network(members[0], "", "logit")
    else:
        outs = [f"logit{k}" for k in range(len(members))]
        for k, folded in enumerate(members):
            drawing.network(folded, f"net{k}.", outs[k])
        drawing.nodes.append(helper.make_node("Mean", outs, ["logit"]))
    shape = [1, 1, "X", "Y", "Z"]
    graph = helper.make_graph(
        drawing.nodes, "liver",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, shape)],
        drawing.weights,
    )  # fmt: skip
    return sealed(graph, metadata)


def sealed(graph: onnx.GraphProto, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Return a checked model of a graph, with a record of what it is."""
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="hepacalc", ir_version=8)
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    return model


def write_model(members: Sequence[Folded], metadata: Mapping[str, str], path: Path, *, half: bool = True) -> int:
    """Write :func:`build_model` to a file and return its size in bytes."""
    data = build_model(members, metadata, half=half).SerializeToString(deterministic=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return len(data)


def read_members(path: Path) -> list[list[tuple[NDArray[np.float32], NDArray[np.float32]]]]:
    """Read what :func:`build_model` was given, or the weights of the first liver ONNX of the project."""
    graph = onnx.load(str(path)).graph
    known = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        if node.op_type == "Cast":
            known[node.output[0]] = known[node.input[0]]
        if node.op_type == "Split":
            # one convolution drawn as two: the second has its bias
            known[node.output[1]] = known[node.input[0]]
    members: list[list[tuple[NDArray[np.float32], NDArray[np.float32]]]] = [[]]
    for node in graph.node:
        if node.op_type != "Conv" or node.input[1] not in known:
            continue
        if members[-1] and node.input[0] == "x":
            members.append([])
        members[-1].append((known[node.input[1]].astype(np.float32), known[node.input[2]].astype(np.float32)))
    return members
