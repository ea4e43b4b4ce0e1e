r"""Convolutions of what codes mean as NumPy computes them: one product for all images.

A dilated filter is filled with zeros, and the windows of all images are the columns of one matrix,

.. math::

    r_{m,\,n} = \sum_{c} \sum_{k,l} w_{m,c,k,l}\; x_{c,\,n,\,k,l}                            \tag{1}

A group of one filter is a row times that matrix, in the order of ``openblas_sums``; a group of more
is one fused operation after the other. The bias is added last.

Left out: groups of more filters over one window, and more than 384 products of such a group.

References
----------
onnx 1.23, ``onnx/reference/ops/op_conv.py``; OpenBLAS 0.3.31.
"""

from dataclasses import replace

import numpy as np

from refquant.ops.windows import columns, pad_spatial
from refquant_conformance.arithmetic.base import Outputs
from refquant_conformance.arithmetic.geometry import geometry
from refquant_conformance.arithmetic.openblas_sums import openblas_sums
from refquant_conformance.arithmetic.product_axes import limits_of
from refquant_conformance.arithmetic.real_sums import real_sums
from refquant_conformance.arithmetic.rules import real_quantized, rule
from refquant_conformance.oracle_elementwise import quantized_exact
from refquant_conformance.oracle_openblas import openblas_sum_exact
from refquant_conformance.oracle_real_sums import real_sum_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.rational import add, float32, multiply
from refquant_conformance.types import storage

__all__ = ["OPENBLAS", "conv_by_openblas", "conv_by_openblas_exactly"]

Float = np.float32
OPENBLAS = "reals_openblas"
"""The value of ``requantize`` that this file computes."""


def _group(case: Case) -> int:
    return int(case.params.get("group") or 1)  # type: ignore[arg-type]  # a number, the catalogue says


def _filled(case: Case) -> Case:
    """Return the case without dilations: zeros are between the weights."""
    w = case.inputs["w"]
    down, across = geometry(case, w.shape[2:]).dilations
    if (down, across) == (1, 1):
        return case
    rows, wide = ((n - 1) * d + 1 for n, d in zip(w.shape[2:], (down, across), strict=True))
    zero = case.inputs["w_zero_point"].astype(w.dtype).reshape(-1, 1, 1, 1)
    filled = np.broadcast_to(zero, (*w.shape[:2], rows, wide)).copy()
    filled[:, :, ::down, ::across] = w
    params = {**case.params, "dilations": (1, 1)}
    return replace(case, inputs={**case.inputs, "w": filled}, params=params)


def _of_channels(values: Array, count: int) -> Array:
    return np.broadcast_to(values, (count,)).reshape(-1, 1)


def conv_by_openblas(case: Case) -> Outputs:
    """Return the codes of eq. (1)."""
    case = _filled(case)
    inputs, w, group = case.inputs, case.inputs["w"], _group(case)
    window, count, images = geometry(case, w.shape[2:]), w.shape[0], inputs["x"].shape[0]
    zero, sx = inputs["x_zero_point"], inputs["x_scale"]
    zw, sw = (_of_channels(inputs[f"w_{n}"], count) for n in ("zero_point", "scale"))
    filters = (w.reshape(count, -1).astype(Float) - zw.astype(Float)) * sw
    filters = filters.reshape(group, count // group, -1)
    padded = pad_spatial(inputs["x"], window.window(), int(zero))
    seen = columns(padded, window.window(padded=True), group=group)
    by_tap = seen.reshape(group, -1, w.shape[1], seen.shape[2]).swapaxes(1, 2)
    part = (by_tap.reshape(seen.shape).astype(Float) - zero.astype(Float)) * sx
    if count == group:
        real = openblas_sums(filters[:, 0], part)
    else:
        each = [real_sums(f, p, order="reals_fused") for f, p in zip(filters, part, strict=True)]
        real = np.concatenate(each)
    if "bias" in inputs:
        real = real + _of_channels(inputs["bias"], count).astype(Float) * (sx * sw)
    y = real_quantized(real, rule(case, "y"), limits_of(case)).astype(storage(case.types["y"]))
    return {"y": y.reshape(count, images, *window.output).swapaxes(0, 1)}


def conv_by_openblas_exactly(case: Case, image: int, channel: int, at: tuple[int, int]) -> int:
    """Return one element of ``conv_by_openblas`` by the oracle."""
    case = _filled(case)
    inputs, w = case.inputs, case.inputs["w"]
    window, per_group = geometry(case, w.shape[2:]), w.shape[0] // _group(case)
    (sx, zx), first = rule(case, "x"), channel // per_group * w.shape[1]
    zw, sw = (inputs[f"w_{n}"].reshape(-1) for n in ("zero_point", "scale"))
    z, s = int(zw[channel % zw.size]), float(sw[channel % sw.size])
    seen, filters = [], []
    for c in range(w.shape[1]):
        for tap, place in enumerate(window.places(at)):
            code = zx if place is None else int(inputs["x"][image, first + c][place])
            seen.append(multiply(float(code - zx), sx))
            filters.append(multiply(float(int(w[channel, c].reshape(-1)[tap]) - z), s))
    rows, wide = window.output
    total, place_of = inputs["x"].shape[0] * rows * wide, (image * rows + at[0]) * wide + at[1]
    if per_group == 1:
        real = openblas_sum_exact(filters, seen, columns=total, at=place_of)
    else:
        shape, here = (per_group, total), (channel % per_group, place_of)
        real = real_sum_exact(filters, seen, order="reals_fused", shape=shape, at=here)
    if "bias" in inputs:
        real = add(real, multiply(float32(int(inputs["bias"][channel])), multiply(sx, s)))
    return quantized_exact(real, rule(case, "y"), limits_of(case))
