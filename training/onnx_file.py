"""Write the network as ONNX by hand: a few nodes, weights stored as float16, and a record of what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["build_model", "write_model"]

Folded = Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]
OPSET = 17
SLOPE = 0.01


def build_model(folded: Folded, metadata: Mapping[str, str], *, half: bool = True) -> onnx.ModelProto:
    """Return the network as a model with input ``x`` and output ``logit``, both ``[1, 1, X, Y, Z]`` float32.

    Args:
        folded: weight and bias of each convolution in the order in which they run, the head last: the stem, two for
            each level down, one for each level up.
        metadata: goes into the file.
        half: store weights as float16 (computed in float32 all the same).
    """
    levels = (len(folded) - 2) // 3
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def constant(name: str, values: NDArray[np.float32]) -> str:
        if not half:
            weights.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
            return name
        weights.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
        return name

    def convolve(source: str, index: int, out: str, stride: int, *, active: bool = True) -> str:
        weight, bias = folded[index]
        size = weight.shape[2]
        inputs = [source, constant(f"w{index}", weight), constant(f"b{index}", bias)]
        raw = f"{out}.raw" if active else out
        nodes.append(
            helper.make_node("Conv", inputs, [raw], kernel_shape=[size] * 3, pads=[size // 2] * 6, strides=[stride] * 3)
        )
        if active:
            nodes.append(helper.make_node("LeakyRelu", [raw], [out], alpha=SLOPE))
        return out

    kept = [convolve("x", 0, "level0", 1)]
    for level in range(1, levels + 1):
        first = convolve(kept[-1], 2 * level - 1, f"down{level}", 2)
        kept.append(convolve(first, 2 * level, f"level{level}", 1))
    weights.append(numpy_helper.from_array(np.array([1, 1, 2, 2, 2], np.float32), "twice"))
    y = kept.pop()
    for k, level in enumerate(range(levels - 1, -1, -1)):
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        nodes.append(helper.make_node("Resize", [y, "", "twice"], [f"wide{level}"], **how))
        nodes.append(helper.make_node("Concat", [f"wide{level}", kept[level]], [f"both{level}"], axis=1))
        y = convolve(f"both{level}", 2 * levels + 1 + k, f"up{level}", 1)
    convolve(y, len(folded) - 1, "logit", 1, active=False)
    shape = [1, 1, "X", "Y", "Z"]
    graph = helper.make_graph(
        nodes, "liver",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, shape)],
        weights,
    )  # fmt: skip
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="hepacalc", ir_version=8
    )
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    return model


def write_model(folded: Folded, metadata: Mapping[str, str], path: Path, *, half: bool = True) -> int:
    """Write :func:`build_model` to a file and return its size in bytes."""
    data = build_model(folded, metadata, half=half).SerializeToString(deterministic=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return len(data)
