r"""Convolutions whose sums, of codes or of reals, become codes by the range of the output.

``by_range``: the sums of ``conv``, a range divided by :math:`s_x s_w`, and no shift for the zero
point of x (``fake_quantize``, eq. (3) and (4)). Only int8 weights without a zero point are summed
in int32, modulo 2^32 before the zero point of x is taken off. With a bias the sum becomes a real
before the range of y, which then is not divided,

.. math::

    y = \operatorname{clamp}(\operatorname{rint}(\mathrm{fma}(
        \operatorname{f32}(sum \cdot s_x s_w) + bias\,s_x s_w,\ K, T)))                      \tag{1}

``by_range_of_reals``: a float32 convolution of what the codes mean, by fused operations in the
order of the taps, then the bias, then the quantizer as one more fused operation:

.. math::

    r = \mathrm{fma}(x_K, w_K, \dots \mathrm{fma}(x_1, w_1, 0)), \qquad
    y = \operatorname{clamp}(\operatorname{rint}(\mathrm{fma}(r + bias\,s_x s_w, K, T)))     \tag{2}

References
----------
As ``fake_quantize``; oneDNN, ``brgemm`` depthwise convolution.
"""

from fractions import Fraction

import numpy as np

from refquant.contracts.axes import AxisValue
from refquant.numerics.fused import fused_multiply_add
from refquant.ops.windows import columns, pad_spatial
from refquant_conformance.arithmetic.base import Axes, Outputs
from refquant_conformance.arithmetic.conv_real_operands import group_of
from refquant_conformance.arithmetic.fake_quantize import sums_by_range
from refquant_conformance.arithmetic.geometry import geometry
from refquant_conformance.arithmetic.product_axes import limits_of
from refquant_conformance.arithmetic.rescale import accumulated, summed_exactly
from refquant_conformance.oracle_fake_quantize import sum_by_range_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.rational import add, float32, multiply
from refquant_conformance.types import code_range, storage

__all__ = ["RANGES", "by_range_exactly", "conv_by_range", "pairs_of"]

RANGES = ("by_range", "by_range_of_reals")
_ONE = np.ones((), np.float32)
_ZERO = np.zeros((), np.int64)


def _integers(case: Case) -> bool:
    return case.types["w"] == "int8" and not case.inputs["w_zero_point"].any()


def _operands(case: Case) -> tuple[Array, Array]:
    """Return x by tap (group, K, outputs) and w (group, M / group, K), taps outside."""
    x, w, group = case.inputs["x"], case.inputs["w"], group_of(case)
    window = geometry(case, w.shape[2:])
    padded = pad_spatial(x, window.window(), int(case.inputs["x_zero_point"]))
    seen = columns(padded, window.window(padded=True), group=group)
    by_tap = w.reshape(group, w.shape[0] // group, w.shape[1], -1).swapaxes(2, 3)
    return seen, by_tap.reshape(group, w.shape[0] // group, -1)


def _of_channels(values: Array, case: Case) -> Array:
    """Return one number for each output channel, (group, M / group, 1)."""
    count = case.inputs["w"].shape[0]
    return np.broadcast_to(values, (count,)).reshape(group_of(case), -1, 1)


def conv_by_range(case: Case, axes: Axes) -> Outputs | None:
    """Return the codes of a convolution; ``requantize`` is one of ``RANGES``."""
    how, accumulator = axes["requantize"], axes["accumulator"]
    if accumulator != "int32_wrap" and not (how == "by_range" and _integers(case)):
        return None  # sums of float32 have no other
    inputs, (seen, filters) = case.inputs, _operands(case)
    scales = inputs["x_scale"], inputs["w_scale"], inputs["y_scale"]
    if how == "by_range":
        found = _sums(case, seen, filters, accumulator)
        if found is None:
            return None
        sums = found
        if "bias" in inputs:
            unit = _of_channels(inputs["x_scale"] * inputs["w_scale"], case)
            bias = _of_channels(inputs["bias"], case).astype(np.float32) * unit
            sums, scales = sums.astype(np.float32) * unit + bias, (_ONE, _ONE, scales[2])
    else:
        sums, scales = _reals(case, seen, filters), (_ONE, _ONE, scales[2])
    count, rows = inputs["w"].shape[0], geometry(case, inputs["w"].shape[2:]).output
    by_channel = sums.reshape(count, inputs["x"].shape[0], *rows)
    y = sums_by_range(
        np.moveaxis(by_channel, 0, -1),
        np.zeros(count),
        scales,
        zero_point=int(inputs["y_zero_point"]),
        codes=case.types["y"],
        limits=limits_of(case),
    )
    return {"y": np.moveaxis(y, -1, 1).astype(storage(case.types["y"]))}


def _sums(case: Case, x: Array, w: Array, accumulator: AxisValue) -> Array | None:
    zx, types = int(case.inputs["x_zero_point"]), (case.types["x"], case.types["w"])
    if _integers(case):
        each = [
            accumulated(
                *(codes.T, filters.T),
                zero_points=(_ZERO, _ZERO),
                bias=None,
                types=types,
                accumulator=accumulator,
            )
            for codes, filters in zip(x, w, strict=True)
        ]
        found = [part for part in each if part is not None]
        if len(found) < len(each):
            return None
        raw = np.stack(found).swapaxes(1, 2)
        total = raw - zx * w.astype(np.int64).sum(axis=2, keepdims=True)
    else:
        zw = _of_channels(case.inputs["w_zero_point"].astype(np.int64), case)
        total = (w.astype(np.int64) - zw) @ (x.astype(np.int64) - zx)
    return np.asarray(total)


def _reals(case: Case, x: Array, w: Array) -> Array:
    inputs = case.inputs
    zx, zw = inputs["x_zero_point"], _of_channels(inputs["w_zero_point"], case)
    sx, sw = inputs["x_scale"], _of_channels(inputs["w_scale"], case)
    real = (x.astype(np.float32) - zx.astype(np.float32)) * sx
    weights = (w.astype(np.float32) - zw.astype(np.float32)) * sw
    total = np.zeros((*w.shape[:2], x.shape[2]), np.float32)
    for k in range(x.shape[1]):
        total = fused_multiply_add(real[:, None, k], weights[:, :, k, None], total)
    if "bias" in inputs:
        total = total + _of_channels(inputs["bias"], case).astype(np.float32) * (sx * sw)
    return np.asarray(total)


def pairs_of(case: Case, image: int, channel: int, at: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the codes of x and of w that meet in one element; padding has the zero point."""
    inputs, w = case.inputs, case.inputs["w"]
    zx, per_group = int(inputs["x_zero_point"]), w.shape[1]
    first = channel // (w.shape[0] // group_of(case)) * per_group
    pairs = []
    for tap, place in enumerate(geometry(case, w.shape[2:]).places(at)):
        for c in range(per_group):
            code = zx if place is None else int(inputs["x"][image, first + c][place])
            pairs.append((code, int(w[channel, c].reshape(-1)[tap])))
    return pairs


def _fused(pairs: list[tuple[int, int]], sx: float, sw: float) -> float:
    """Add the products of reals, each by one fused operation."""
    total = 0.0
    for p, q in pairs:
        real, weight = multiply(float(p), sx), multiply(float(q), sw)
        total = float32(Fraction(real) * Fraction(weight) + Fraction(total))
    return total


def by_range_exactly(
    case: Case, axes: Axes, image: int, channel: int, at: tuple[int, int]
) -> int | None:
    """Return one element of ``conv_by_range`` by the oracle."""
    how, accumulator = axes["requantize"], axes["accumulator"]
    if accumulator != "int32_wrap" and not (how == "by_range" and _integers(case)):
        return None
    inputs, w = case.inputs, case.inputs["w"]
    zx, pairs = int(inputs["x_zero_point"]), pairs_of(case, image, channel, at)
    zw, sw = (inputs[f"w_{name}"].reshape(-1) for name in ("zero_point", "scale"))
    z = int(zw[channel % zw.size])
    sx, scales = float(inputs["x_scale"]), [float(sw[k % sw.size]) for k in range(w.shape[0])]
    total: float
    if how == "by_range_of_reals":
        total = _fused([(p - zx, q - z) for p, q in pairs], sx, scales[channel])
    elif _integers(case):
        left, right = [p for p, _ in pairs], [q for _, q in pairs]
        types = (case.types["x"], case.types["w"])
        raw = summed_exactly(
            left, right, zero_points=(0, 0), bias=0, types=types, accumulator=accumulator
        )
        if raw is None:
            return None
        total = raw - zx * sum(q for _, q in pairs)
    else:
        total = sum((p - zx) * (q - z) for p, q in pairs)
    if how == "by_range_of_reals" or "bias" in inputs:
        unit = multiply(sx, scales[channel])
        real = total if how == "by_range_of_reals" else multiply(float32(Fraction(total)), unit)
        bias = int(inputs["bias"][channel]) if "bias" in inputs else 0
        total = add(real, multiply(float32(bias), unit))
        sx, scales = 1.0, [1.0] * len(scales)
    return sum_by_range_exact(
        Fraction(total),
        channel,
        [(0, scale) for scale in scales],
        scales=(sx, float(inputs["y_scale"])),
        zero_point=int(inputs["y_zero_point"]),
        codes=code_range(case.types["y"]),
        limits=limits_of(case),
    )
