r"""Convolutions of what codes mean, in float32, and the codes of the result.

A window is the sum of ``matmul_of_reals``, eq. (1), over channels outside and kernel positions
inside, with 0 for padding; the bias is added last. The rows of the product are the filters of a
group, its columns the windows of an image:

.. math::

    r_{m,\,n} = \sum_{c} \sum_{k,l} w_{m,c,k,l}\; x_{c,\,n,\,k,l}                            \tag{1}

onnxruntime takes the image itself for the right factor, transposed, if the kernel is as wide as the
image of one channel, with unit strides and no padding.

References
----------
ONNX, Conv-11; onnxruntime 1.32, ``onnxruntime/core/mlas/lib/convolve.cpp``.
"""

import numpy as np

from refquant.ops.windows import columns, pad_spatial
from refquant_conformance.arithmetic.base import Outputs
from refquant_conformance.arithmetic.conv_by_openblas import (
    OPENBLAS,
    conv_by_openblas,
    conv_by_openblas_exactly,
)
from refquant_conformance.arithmetic.geometry import Geometry, geometry
from refquant_conformance.arithmetic.product_axes import limits_of
from refquant_conformance.arithmetic.real_sums import real_sums
from refquant_conformance.arithmetic.rules import real_quantized, rule
from refquant_conformance.oracle_elementwise import quantized_exact
from refquant_conformance.oracle_real_sums import real_sum_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.rational import add, float32, multiply
from refquant_conformance.types import storage

__all__ = ["conv_of_reals", "conv_of_reals_exactly"]

Float = np.float32


def _group(case: Case) -> int:
    return int(case.params.get("group") or 1)  # type: ignore[arg-type]  # a number, the catalogue says


def _transposed(window: Geometry, channels: int) -> bool:
    """Return whether the image is the right factor, and not what windows see of it."""
    plain = (window.strides, window.pads) == ((1, 1), (0, 0, 0, 0))
    if not plain or channels != 1 or window.kernel == (1, 1):
        return False
    return window.dilations == (1, 1) and window.kernel[1] == window.size[1]


def _of_channels(values: Array, count: int) -> Array:
    return np.broadcast_to(values, (count,)).reshape(-1, 1)


def conv_of_reals(case: Case, order: str) -> Outputs:
    """Return the codes of eq. (1); of the one product for all images, ``conv_by_openblas``."""
    if order == OPENBLAS:
        return conv_by_openblas(case)
    inputs, w, group = case.inputs, case.inputs["w"], _group(case)
    window, count, (images, _, _, _) = geometry(case, w.shape[2:]), w.shape[0], inputs["x"].shape
    zero, sx = inputs["x_zero_point"], inputs["x_scale"]
    zw, sw = (_of_channels(inputs[f"w_{n}"], count) for n in ("zero_point", "scale"))
    filters = (w.reshape(count, -1).astype(Float) - zw.astype(Float)) * sw
    filters = filters.reshape(group, count // group, -1)
    real = np.zeros((images, count, window.output[0] * window.output[1]), Float)
    transposed = _transposed(window, w.shape[1])
    for image in range(images):
        padded = pad_spatial(inputs["x"][image : image + 1], window.window(), int(zero))
        seen = columns(padded, window.window(padded=True), group=group)
        by_tap = seen.reshape(group, -1, w.shape[1], seen.shape[2]).swapaxes(1, 2)
        part = (by_tap.reshape(seen.shape).astype(Float) - zero.astype(Float)) * sx
        each = [
            real_sums(f, p, order=order, transposed=transposed)
            for f, p in zip(filters, part, strict=True)
        ]
        real[image] = np.concatenate(each)
    if "bias" in inputs:
        real = real + _of_channels(inputs["bias"], count).astype(Float) * (sx * sw)
    y = real_quantized(real, rule(case, "y"), limits_of(case))
    return {"y": y.reshape(images, count, *window.output).astype(storage(case.types["y"]))}


def conv_of_reals_exactly(
    case: Case, order: str, image: int, channel: int, at: tuple[int, int]
) -> int:
    """Return one element of ``conv_of_reals`` by the oracle."""
    if order == OPENBLAS:
        return conv_by_openblas_exactly(case, image, channel, at)
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
    real = real_sum_exact(
        filters,
        seen,
        order=order,
        shape=(per_group, window.output[0] * window.output[1]),
        at=(channel % per_group, at[0] * window.output[1] + at[1]),
        transposed=_transposed(window, w.shape[1]),
    )
    if "bias" in inputs:
        real = add(real, multiply(float32(int(inputs["bias"][channel])), multiply(sx, s)))
    return quantized_exact(real, rule(case, "y"), limits_of(case))
