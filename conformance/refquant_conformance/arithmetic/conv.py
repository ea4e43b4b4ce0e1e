r"""Convolutions of codes: QLinearConv, dense, grouped, depthwise, by the axes of ``rescale``.

Images are (N, C, H, W), filters (M, C/group, rows, columns); scale and zero point of w are one, or
one an output channel. A window is a dot product,

.. math::

    acc_{m,i,j} = \sum_{k,l} \sum_c (x_{c,\,i s_0 + k d_0 - p_0,\,j s_1 + l d_1 - p_1} - z_x)
                  (w_{m,c,k,l} - z_w) + bias_m                                              \tag{1}

with padding that counts as the zero point. Sums of two neighbours (``i16_pair_saturate``) take
them in the order of (1): kernel positions outside, channels inside.

Depthwise convolutions, where each output channel sees one input channel, are an operator of their
own here: engines have other kernels for them, with another arithmetic. One of them has two: with
``neon_double_by_eight`` the first 8 floor(M/8) channels are rescaled as ``neon_double`` says,
eight at a time, and the rest one by one, as ``gemmlowp_double`` does. How sums become codes by the
range of the output says ``conv_by_range``; how sums of reals do, ``conv_of_reals``; and with scales
one after the other, ``rescale_steps``.

References
----------
ONNX, QLinearConv-10; ``docs/spec/operators.md`` sections 3 and 4.
"""

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.contracts.axes import AxisValue
from refquant.ops.windows import columns, pad_spatial
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.arithmetic.conv_by_openblas import OPENBLAS
from refquant_conformance.arithmetic.conv_by_range import (
    RANGES,
    by_range_exactly,
    conv_by_range,
    pairs_of,
)
from refquant_conformance.arithmetic.conv_of_reals import conv_of_reals, conv_of_reals_exactly
from refquant_conformance.arithmetic.conv_probes import depthwise_probes, probes
from refquant_conformance.arithmetic.conv_real_operands import group_of
from refquant_conformance.arithmetic.geometry import Geometry, cut_out, geometry
from refquant_conformance.arithmetic.product_axes import (
    PRODUCT_AXES,
    again_or_no_multiplier,
    idle,
    limits_of,
)
from refquant_conformance.arithmetic.real_sums import ORDERS
from refquant_conformance.arithmetic.rescale import (
    accumulated,
    equal_modes,
    formed,
    implied,
    rescaled,
    rescaled_exactly,
    summed_exactly,
)
from refquant_conformance.arithmetic.rescale_steps import (
    STEPS,
    in_steps,
    in_steps_exactly,
    without_bias,
)
from refquant_conformance.arithmetic.shared_sums import shared_sums
from refquant_conformance.operators import OPERATORS
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import storage

__all__ = ["QLINEAR_CONV", "QLINEAR_DEPTHWISE_CONV"]

_BY_EIGHT = "neon_double_by_eight"


def _window(case: Case) -> Geometry:
    return geometry(case, case.inputs["w"].shape[2:])


def _sums(case: Case, axes: Axes) -> Array | None:
    return shared_sums(case, axes["accumulator"], _summed)


def _summed(case: Case, accumulator: AxisValue) -> Array | None:
    """Return eq. (1), (N, M, rows, columns), int64; None where it is refused."""
    x, w, window, group = case.inputs["x"], case.inputs["w"], _window(case), group_of(case)
    padded = pad_spatial(x, window.window(), int(case.inputs["x_zero_point"]))
    seen = columns(padded, window.window(padded=True), group=group)  # (group, K, N * outputs)
    count, images = w.shape[0], x.shape[0]
    by_tap = w.reshape(group, count // group, w.shape[1], -1).swapaxes(2, 3)
    filters = by_tap.reshape(group, count // group, -1)
    each = [
        accumulated(
            seen[g].T,
            filters[g].T,
            zero_points=(case.inputs["x_zero_point"], _of_group(case, "w_zero_point", g)),
            bias=_of_group(case, "bias", g) if "bias" in case.inputs else None,
            types=(case.types["x"], case.types["w"]),
            accumulator=accumulator,
        )
        for g in range(group)
    ]
    found = [part for part in each if part is not None]
    if len(found) < group:
        return None
    together = np.concatenate(found, axis=1)  # (N * outputs, M)
    return together.reshape(images, *window.output, count).transpose(0, 3, 1, 2)


def _of_group(case: Case, name: str, group: int) -> Array:
    """Return what a group has of a vector with one number an output channel, or the one number."""
    values = case.inputs[name]
    if not values.ndim:
        return values
    size = values.size // group_of(case)
    return values[group * size : (group + 1) * size]


def _compute(case: Case, axes: Axes) -> Outputs | None:
    if axes["requantize"] in RANGES:
        return conv_by_range(case, axes)
    if axes["requantize"] in (*ORDERS, OPENBLAS):
        return conv_of_reals(case, str(axes["requantize"]))
    if axes["requantize"] in STEPS:
        return _in_steps(case, axes)
    acc, inputs = _sums(case, axes), case.inputs
    if acc is None:
        return None
    each = formed((inputs["x_scale"], inputs["w_scale"], inputs["y_scale"]), axes["multiplier"])
    m = np.broadcast_to(each, (acc.shape[1],)).reshape(-1, 1, 1)
    zero, limits = int(inputs["y_zero_point"]), limits_of(case)
    parts = []
    for channels, mode in _modes(acc.shape[1], axes):
        one, part = {**axes, "requantize": mode}, acc[:, channels]
        parts.append(rescaled(part, m[channels], zero_point=zero, limits=limits, axes=one))
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    return {"y": np.concatenate(found, axis=1).astype(storage(case.types["y"]))}


def _in_steps(case: Case, axes: Axes) -> Outputs | None:
    acc, inputs = _sums(without_bias(case), axes), case.inputs
    if acc is None:
        return None
    sw = np.broadcast_to(inputs["w_scale"], (acc.shape[1],)).reshape(-1, 1, 1)
    y = in_steps(
        acc,
        inputs["bias"].reshape(-1, 1, 1) if "bias" in inputs else None,
        (inputs["x_scale"], sw, inputs["y_scale"]),
        case=case,
        limits=limits_of(case),
        mode=str(axes["requantize"]),
    )
    return None if y is None else {"y": y.astype(storage(case.types["y"]))}


def _modes(channels: int, axes: Axes) -> list[tuple[slice, AxisValue]]:
    """Return which channels are rescaled in which mode."""
    if axes["requantize"] != _BY_EIGHT:
        return [(slice(0, channels), axes["requantize"])]
    whole = channels // 8 * 8
    return [(slice(0, whole), "neon_double"), (slice(whole, channels), "gemmlowp_double")]


def _at(case: Case, index: int) -> tuple[int, int, tuple[int, int]]:
    """Return image, channel and place of an element of the output."""
    rows, wide = _window(case).output
    image, rest = divmod(index, case.inputs["w"].shape[0] * rows * wide)
    channel, place = divmod(rest, rows * wide)
    return image, channel, (place // wide, place % wide)


def _exact(case: Case, axes: Axes, output: str, index: int) -> int | None:
    inputs = case.inputs
    image, channel, at = _at(case, index)
    if axes["requantize"] in RANGES:
        return by_range_exactly(case, axes, image, channel, at)
    if axes["requantize"] in (*ORDERS, OPENBLAS):
        return conv_of_reals_exactly(case, str(axes["requantize"]), image, channel, at)
    pairs = pairs_of(case, image, channel, at)
    zw, sw = (inputs[f"w_{name}"].reshape(-1) for name in ("zero_point", "scale"))
    bias, steps = inputs.get("bias"), axes["requantize"] in STEPS
    own = None if bias is None else int(bias[channel])
    acc = summed_exactly(
        [code for code, _ in pairs],
        [weight for _, weight in pairs],
        zero_points=(int(inputs["x_zero_point"]), int(zw[channel % zw.size])),
        bias=0 if steps else own or 0,
        types=(case.types["x"], case.types["w"]),
        accumulator=axes["accumulator"],
    )
    if acc is None:
        return None
    own_scale = float(sw[channel % sw.size])
    scales = float(inputs["x_scale"]), own_scale, float(inputs["y_scale"])
    limits, zero_point = limits_of(case), int(inputs["y_zero_point"])
    if steps:
        mode = str(axes["requantize"])
        return in_steps_exactly(acc, own, scales, case=case, limits=limits, mode=mode)
    modes = _modes(inputs["w"].shape[0], axes)
    one = next(mode for channels, mode in modes if channels.start <= channel < channels.stop)
    axes = {**axes, "requantize": one}
    return rescaled_exactly(acc, scales, zero_point=zero_point, limits=limits, axes=axes)


def _element(case: Case, index: int) -> Case:
    """Return the case of one window of one filter; of a depthwise one, of its channel alone."""
    image, channel, at = _at(case, index)
    w = case.inputs["w"]
    first = channel // (w.shape[0] // group_of(case)) * w.shape[1]
    alone = {**case.inputs, "w": w[channel : channel + 1]}
    for name in ("w_scale", "w_zero_point", "bias"):
        if name in alone and alone[name].ndim:
            alone[name] = alone[name][channel : channel + 1]
    one = replace(case, inputs=alone, params={**case.params, "group": 1})
    x = case.inputs["x"][image : image + 1, first : first + w.shape[1]]
    return cut_out(one, x, _window(case), at)


_SCHEMES = tuple(OPERATORS["qlinear_conv"].schemes)

QLINEAR_CONV = Arithmetic(
    op="qlinear_conv",
    schemes=_SCHEMES,
    axes=MappingProxyType(PRODUCT_AXES),
    spec=MappingProxyType(
        {"requantize": "float_rne", "multiplier": None, "accumulator": "int32_wrap"}
    ),
    clause="ONNX QLinearConv-10: as QLinearMatMul; padding is the zero point of x",
    compute=_compute,
    exact=_exact,
    probes=probes,
    element=_element,
    implied=implied,
    idle=idle,
    again=again_or_no_multiplier,
    equal=equal_modes(_SCHEMES),
)

QLINEAR_DEPTHWISE_CONV = replace(
    QLINEAR_CONV,
    op="qlinear_depthwise_conv",
    axes=MappingProxyType(
        {**PRODUCT_AXES, "requantize": (*PRODUCT_AXES["requantize"], _BY_EIGHT, OPENBLAS)}
    ),
    probes=depthwise_probes,
)
