"""Many elements in one case: a probe that is grown, and drawn anew near what made it tell.

Probes are small and hold what separates contracts. A claim about 100,000 elements needs more of
the same kind: a probe is repeated along an axis that means nothing to the operator (rows, height,
samples), and then its data are drawn anew::

    floats of quantizers   4 of 10 beside a tie (k + 1/2) s, 2 a code k s, 2 anywhere in the range,
                           2 from the probe, moved by up to two units in the last place
    other floats           from the probe, moved likewise
    codes, one by one      from the codes of the probe
    codes that are summed  those of the probe, an eighth of them drawn anew: sums stay near ties

NaN and infinities are left out: a contract that refuses them would refuse the whole case. Left out
as a whole: operators of which a case has one or two numbers (``choose_qparams``), and files.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import INTEGERS, code_range

__all__ = ["GROWN", "can_grow", "grown"]

GROWN: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("quantize_linear", "dequantize_linear", "dynamic_quantize_linear"), 0),
        **dict.fromkeys(("cast", "decode", "block_quantize", "block_dequantize"), 0),
        **dict.fromkeys(("qlinear_sigmoid", "qlinear_tanh", "qlinear_leaky_relu"), 0),
        **dict.fromkeys(("qlinear_add", "qlinear_mul", "pack", "unpack", "qlinear_softmax"), 0),
        **dict.fromkeys(("matmul_integer", "qlinear_matmul"), 0),
        **dict.fromkeys(("qlinear_conv", "qlinear_depthwise_conv", "qlinear_average_pool"), 2),
        **dict.fromkeys(("qlinear_mean", "max_pool", "resize_nearest", "resize_bilinear"), 1),
    }
)
"""The axis of an operator's data along which there may be any number of slices."""

_SUMMED = (
    *("matmul_integer", "qlinear_matmul", "qlinear_conv", "qlinear_depthwise_conv"),
    *("qlinear_average_pool", "qlinear_mean", "qlinear_softmax"),
)
_TWO = ("qlinear_add", "qlinear_mul")
_WHOLE = ("block_quantize", "block_dequantize")  # a block is what it is: only its sign is drawn


def can_grow(case: Case) -> bool:
    """Whether a case is one of many: a single row of packed codes has its length in a parameter."""
    return case.op in GROWN and (case.op not in ("pack", "unpack") or case.inputs["x"].ndim > 1)


def grown(case: Case, times: int, rng: np.random.Generator) -> Case:
    """Return ``case`` with ``times`` as much data, drawn anew; weights and parameters stay.

    >>> one = Case("cast", "f32_f16", {"x": np.float32([1.0, 2.0])}, types={"x": "float32"})
    >>> grown(one, 3, np.random.default_rng(0)).inputs["x"].shape
    (6,)
    """
    axis = _free_axis(case)
    names = ("a", "b") if case.op in _TWO else ("x",) if "x" in case.inputs else ("a",)
    inputs = dict(case.inputs)
    for name in names:
        inputs[name] = _repeated(inputs[name], times, axis)
    if case.params.get("block_size"):  # scales of blocks have the axes of the data
        for name in ("scale", "zero_point"):
            if name in inputs:
                inputs[name] = _repeated(inputs[name], times, axis)
    longer = replace(case, inputs=inputs)
    return replace(case, inputs={**inputs, **{n: _drawn(longer, n, rng) for n in names}})


def _free_axis(case: Case) -> int:
    """Return the axis that grows: not the one along which scales differ."""
    axis = GROWN[case.op]
    return axis if case.params.get("axis") != axis else 1 - axis


def _repeated(array: Array, times: int, axis: int) -> Array:
    return np.concatenate([array] * times, axis=axis)


def _drawn(case: Case, name: str, rng: np.random.Generator) -> Array:
    """Return input ``name``, drawn anew as the table above says."""
    x, types = case.inputs[name], case.types
    if case.op in _WHOLE:
        return x if x.dtype.kind != "f" else _signed(x, rng)
    if x.dtype.kind == "f":
        moved = _moved(_chosen(x[np.isfinite(x)], x.shape, rng), 2, rng)
        if case.op != "quantize_linear" or types["y"] not in INTEGERS:
            return moved
        return _near_ties(case, moved, rng)
    anew = _chosen(x, x.shape, rng)
    return np.where(rng.random(x.shape) < 1 / 8, anew, x) if case.op in _SUMMED else anew


def _signed(x: Array, rng: np.random.Generator) -> Array:
    """Return floats whose signs are drawn, 256 of them at once: no block is shorter or longer."""
    signs = np.repeat(rng.choice(np.array([-1, 1], x.dtype), -(-x.size // 256)), 256)
    return np.asarray(x * signs[: x.size])


def _chosen(values: Array, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    return np.asarray(rng.choice(values.reshape(-1), shape))


def _moved(x: Array, most: int, rng: np.random.Generator) -> Array:
    """Return floats, each moved by at most ``most`` units in its last place, and finite."""
    bits = np.dtype(f"i{x.dtype.itemsize}")
    moved = (x.view(bits) + rng.integers(-most, most + 1, x.shape).astype(bits)).view(x.dtype)
    return np.asarray(np.where(np.isfinite(moved), moved, x))


def _near_ties(case: Case, others: Array, rng: np.random.Generator) -> Array:
    """Return reals for a quantizer of integers: ties and their neighbours, codes, any."""
    scale, point = _spread(case, "scale"), _spread(case, "zero_point")
    qmin, qmax = code_range(case.types["y"])
    steps = rng.integers(qmin, qmax + 1, others.shape) + rng.integers(-2, 3, others.shape) - point
    kind, kept = rng.random(others.shape), others.dtype
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        tie = _moved(((steps + 0.5) * scale).astype(kept), 1, rng)
        code = (steps * scale).astype(kept)
        anywhere = ((steps + rng.random(others.shape)) * scale).astype(kept)
    x = np.select([kind < 0.4, kind < 0.6, kind < 0.8], [tie, code, anywhere], others)
    return np.asarray(np.where(np.isfinite(x), x, others), kept)


def _spread(case: Case, name: str) -> Array:
    """Return a parameter of a quantizer in float64, so that it meets each of its reals."""
    x, axis, size = case.inputs["x"], case.params.get("axis"), case.params.get("block_size")
    array = np.asarray(case.inputs.get(name, 0), np.float64)
    if array.ndim == 0 or not isinstance(axis, int):
        return array
    if isinstance(size, int) and size:
        return np.repeat(array, size, axis=axis)
    return array.reshape([-1 if k == axis % x.ndim else 1 for k in range(x.ndim)])
