"""One small, harmless case of every cell: what an adapter is asked to see whether it computes it.

Scales are one half and zero points are in range, so that no engine has a reason to refuse but the
operator, the types or the granularity.
"""

import numpy as np

from refquant_conformance.adapters.samples_formats import of_format
from refquant_conformance.adapters.samples_methods import OF_METHODS, of_method
from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.protocol import Array, Case, Param
from refquant_conformance.types import INTEGERS, SMALL_FLOATS, code_range, storage

__all__ = ["sample"]

_FINE = {
    "quantize_linear": "x",
    "dequantize_linear": "x",
    "qlinear_matmul": "b",
    "qlinear_conv": "w",
    "qlinear_depthwise_conv": "w",
}
_SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "quantize_linear": {"x": (2, 8)},
    "dequantize_linear": {"x": (2, 8)},
    "dynamic_quantize_linear": {"x": (8,)},
    "choose_qparams": {"x": (8,)},
    "matmul_integer": {"a": (2, 4), "b": (4, 3)},
    "qlinear_matmul": {"a": (2, 4), "b": (4, 3)},
    "qlinear_conv": {"x": (1, 2, 4, 4), "w": (3, 2, 3, 3)},
    "qlinear_depthwise_conv": {"x": (1, 2, 4, 4), "w": (2, 1, 3, 3)},
    "qlinear_average_pool": {"x": (1, 2, 4, 4)},
    "qlinear_mean": {"x": (1, 2, 4, 4)},
    "lstm": {"x": (2, 3, 4), "w": (8, 4), "r": (8, 2), "h": (2, 2), "c": (2, 2)},
    "gru": {"x": (2, 3, 4), "w": (6, 4), "r": (6, 2), "h": (2, 2)},
    **{op: {"x": (1, 2, 4, 4)} for op in ("max_pool", "resize_nearest", "resize_bilinear")},
    "matmul_nbits": {"a": (2, 32), "b": (32, 4)},
}
_FORMATS = ("pack", "unpack", "block_quantize", "block_dequantize", "load")
_PARAMS: dict[str, dict[str, Param]] = {
    "qlinear_conv": {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "group": 1},
    "qlinear_depthwise_conv": {
        **{"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "group": 2}
    },
    "qlinear_average_pool": {"kernel": (2, 2), "strides": (2, 2), "pads": (0, 0, 0, 0)},
    "qlinear_leaky_relu": {"alpha": 0.25},
    "qlinear_concat": {"axis": 1},
    "max_pool": {"kernel": (2, 2), "strides": (2, 2), "pads": (0, 0, 0, 0)},
    "move": {"kind": "transpose", "perm": (1, 0)},
    "matmul_nbits": {"block_size": 16},
    "layer_norm": {"epsilon": 1e-5},
    "gru": {"linear_before_reset": 0},
    "resize_nearest": {"size": (8, 8), "coordinates": "half_pixel"},
    "resize_bilinear": {"size": (8, 8), "coordinates": "half_pixel"},
}
# Where an operator of TFLite has one output scale and no other, this is it.
_OUTPUTS = {"qlinear_softmax": 1 / 256, "qlinear_sigmoid": 1 / 256, "qlinear_tanh": 1 / 128}


def sample(op: str, scheme: str) -> Case:
    """Return a small case of a cell.

    >>> case = sample("quantize_linear", "f32_u8_channel")
    >>> case.inputs["scale"].tolist(), case.params["axis"]
    ([0.5, 0.5], 0)
    """
    types = types_of(op, scheme)
    if op in _FORMATS:
        return of_format(op, scheme)
    if op in OF_METHODS:
        return of_method(op, scheme)
    shapes = _SHAPES.get(op) or dict.fromkeys(("x", "a", "b"), (2, 8))
    inputs: dict[str, Array] = {}
    for name in OPERATORS[op].inputs:
        if name in shapes and name in types:
            inputs[name] = _values(types[name], shapes[name])
        elif name.endswith("scale"):
            inputs[name] = np.full(_fine(op, scheme, name, shapes), _scale(op, name))
        elif name != "bias" and name in types:
            shape = _fine(op, scheme, name, shapes)
            inputs[name] = np.full(shape, _zero_point(op, name, types[name]))
        if name in inputs:
            inputs[name] = inputs[name].astype(storage(types[name]))
    params: dict[str, Param] = dict(_PARAMS.get(op, {}))
    if op in ("quantize_linear", "dequantize_linear"):
        fine = scheme.rpartition("_")[2]
        axis = {"channel": 0, "block": 1}.get(fine)
        params = {"axis": axis, "block_size": 4 if fine == "block" else 0}
    if op == "choose_qparams":
        code = scheme.rpartition("_")[2]
        code = {"u": "uint", "i": "int"}[code[0]] + code[1:]
        params = {"code": code, "symmetric": scheme.startswith("symmetric")}
    return Case(op, scheme, inputs, params, types=types)


def _values(logical: str, shape: tuple[int, ...]) -> Array:
    count = int(np.prod(shape))
    if logical in INTEGERS:
        qmin, qmax = code_range(logical)
        return (np.arange(count) % min(7, qmax - qmin + 1) + max(qmin, -3)).reshape(shape)
    if logical in SMALL_FLOATS:
        return (np.arange(count) % (16 if logical == "float4_e2m1fn" else 48)).reshape(shape)
    return (np.arange(count, dtype=np.float64) / 4 - 1).reshape(shape)


def _fine(op: str, scheme: str, name: str, shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape of a scale or zero point: of one, or of the operand with finer ones."""
    if op in ("matmul_nbits", "layer_norm"):
        return (2, 4) if op == "matmul_nbits" else (8,)
    operand = _FINE.get(op)
    own = name in ("scale", "zero_point") or name.startswith(f"{operand}_")
    if operand is None or not own:
        return ()
    if scheme.endswith("_block"):
        return (shapes[operand][0], shapes[operand][1] // 4)
    if scheme.endswith("_channel"):
        return (shapes[operand][1 if operand == "b" else 0],)
    return ()


def _scale(op: str, name: str) -> float:
    return _OUTPUTS[op] if op in _OUTPUTS and name == "y_scale" else 0.5


def _zero_point(op: str, name: str, logical: str) -> int:
    """Return 0 for weights and int32, the only choice of some engines; else something in range."""
    if logical not in INTEGERS or logical == "int32":
        return 0
    qmin, qmax = code_range(logical)
    middle = (qmin + qmax + 1) // 2
    if op == "qlinear_tanh" or name.startswith(("b_", "w_")):
        return middle
    return qmin if op in _OUTPUTS and name == "y_zero_point" else middle
