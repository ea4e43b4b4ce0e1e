"""Normalizations: over the last axes, over planes, by statistics that are constants.

A mean and 1 / sqrt(variance + epsilon) that somebody reads are computed beside the layer.

Left out: training.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from refquant.model.graph import Attribute
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import Known, Scope, Seen, Unsupported
from refquant.model.importers.onnx_sizes import axis_in

__all__ = ["NORMAL"]

Lower = Callable[[Scope, OnnxNode], None]


def _layer_norm(s: Scope, node: OnnxNode) -> None:
    """Over the last axis; over several, as if they were one."""
    shape, a = s.shape(node.inputs[0]), node.attributes
    given: dict[str, Attribute] = {"axis": -1, "epsilon": float(a.get("epsilon", 1e-5))}
    operands = [name for name in s.reals(node) if name]
    axis = axis_in(int(a.get("axis", -1)), len(shape))
    if any(name in s.outputs or s.readers.get(name) for name in node.outputs[1:]):
        _statistics(s, node, operands[0], range(axis, len(shape)))
    if axis == len(shape) - 1:
        s.emit(node, node.op, operands, given)
        return
    if "T" in shape or (axis == 0 and shape[0] == "N"):
        raise Unsupported(f"axes {list(shape[axis:])} as one, which only a run knows")
    whole = tuple(0 if d == "N" else int(d) for d in shape)
    rows = (*whole[:axis], math.prod(whole[axis:]))
    flat = s.step(node, "Reshape", operands[:1], {"shape": rows})
    given_rows = [s.step(node, "Reshape", [v], {"shape": (-1,)}) for v in operands[1:]]
    normal = s.step(node, node.op, [flat, *given_rows], given)
    s.emit(node, "Reshape", [normal], {"shape": whole})


def _statistics(s: Scope, node: OnnxNode, x: str, axes: range) -> None:
    """Add outputs 1 and 2: mean and inverse deviation over ``axes``, which stay as 1."""
    if 0 in axes and s.shape(node.inputs[0])[0] == "N":
        raise Unsupported("a mean over samples, which only a run knows")
    over: Mapping[str, Attribute] = {"axes": tuple(axes), "keepdims": 1}
    mean = s.step(node, "ReduceMean", [x], over)
    apart = s.step(node, "Sub", [x, mean])
    variance = s.step(node, "ReduceMean", [s.step(node, "Mul", [apart, apart])], over)
    epsilon = s.scalar(node, float(node.attributes.get("epsilon", 1e-5)))
    root = s.step(node, "Sqrt", [s.step(node, "Add", [variance, epsilon])])
    found = (mean, s.step(node, "Div", [s.scalar(node, 1.0), root]))
    for name, value in zip(node.outputs[1:], found, strict=False):
        s.items[name] = Seen(value, "float32")


def _batch_norm(s: Scope, node: OnnxNode) -> None:
    a = node.attributes
    if a.get("training_mode", 0) or any(
        n in s.outputs or s.readers.get(n) for n in node.outputs[1:]
    ):
        raise Unsupported("BatchNormalization in training mode")
    given: dict[str, Attribute] = {"epsilon": float(a.get("epsilon", 1e-5))}
    s.emit(node, "BatchNormalization", s.reals(node), given)


def _instance_norm(s: Scope, node: OnnxNode) -> None:
    """Each plane less its mean, over its deviation: ReduceMean, Sub, Mul, Sqrt, Div, Mul, Add."""
    shape = s.shape(node.inputs[0])
    groups = int(node.attributes.get("num_groups", shape[1]))
    x, rank = s.real(node, 0), len(shape)
    if any(isinstance(d, str) for d in shape[1:]):
        raise Unsupported(f"a mean over {list(shape)}, which only a run knows")
    sizes = [int(d) for d in shape[1:]]
    lead = 0 if shape[0] == "N" else int(shape[0])
    x = s.step(node, "Reshape", [x], {"shape": (lead, groups, -1)})
    over: Mapping[str, Attribute] = {"axes": (2,), "keepdims": 1}
    apart = s.step(node, "Sub", [x, s.step(node, "ReduceMean", [x], over)])
    variance = s.step(node, "ReduceMean", [s.step(node, "Mul", [apart, apart])], over)
    epsilon = s.scalar(node, float(node.attributes.get("epsilon", 1e-5)))
    deviation = s.step(node, "Sqrt", [s.step(node, "Add", [variance, epsilon])])
    plain = s.step(node, "Div", [apart, deviation])
    back = s.step(node, "Reshape", [plain], {"shape": (lead, *sizes)})
    factors = []
    for index in (1, 2):
        item = s.item(node.inputs[index])
        if not isinstance(item, Known):
            raise Unsupported(f"input {index} must be a constant")
        numbers = item.array.astype(np.float32)
        if len(numbers) != sizes[0]:  # opset 18: one for each group
            numbers = np.repeat(numbers, sizes[0] // groups)
        wide = numbers.reshape(-1, *(1,) * (rank - 2))
        factors.append(s.constant(f"{node.inputs[index]}/wide", wide))
    s.emit(node, "Add", [s.step(node, "Mul", [back, factors[0]]), factors[1]])


NORMAL: Mapping[str, Lower] = {
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _layer_norm,
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _instance_norm,
}
