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

from refquant_conformance.arithmetic.base import Outputs
from refquant_conformance.arithmetic.conv_by_openblas import (
    OPENBLAS,
    conv_by_openblas,
    conv_by_openblas_exactly,
)
from refquant_conformance.arithmetic.conv_real_operands import (
    code_of_sum_exactly,
    codes_of_sums,
    group_of,
    operands_exactly,
    real_filters,
    real_windows,
)
from refquant_conformance.arithmetic.geometry import Geometry, geometry
from refquant_conformance.arithmetic.real_sums import real_sums
from refquant_conformance.oracle_real_sums import real_sum_exact
from refquant_conformance.protocol import Case

__all__ = ["conv_of_reals", "conv_of_reals_exactly"]


def _transposed(window: Geometry, channels: int) -> bool:
    """Return whether the image is the right factor, and not what windows see of it."""
    plain = (window.strides, window.pads) == ((1, 1), (0, 0, 0, 0))
    if not plain or channels != 1 or window.kernel == (1, 1):
        return False
    return window.dilations == (1, 1) and window.kernel[1] == window.size[1]


def conv_of_reals(case: Case, order: str) -> Outputs:
    """Return the codes of eq. (1); of the one product for all images, ``conv_by_openblas``."""
    if order == OPENBLAS:
        return conv_by_openblas(case)
    x, w = case.inputs["x"], case.inputs["w"]
    window = geometry(case, w.shape[2:])
    transposed = _transposed(window, w.shape[1])
    filters, images = real_filters(case), []
    for image in range(len(x)):
        part = real_windows(case, x[image : image + 1])
        each = [
            real_sums(f, p, order=order, transposed=transposed)
            for f, p in zip(filters, part, strict=True)
        ]
        images.append(np.concatenate(each))
    sizes = (len(w), window.output[0] * window.output[1])
    real = np.stack(images) if images else np.zeros((0, *sizes), np.float32)
    y = codes_of_sums(case, real)["y"]
    return {"y": y.reshape(len(x), len(w), *window.output)}


def conv_of_reals_exactly(
    case: Case, order: str, image: int, channel: int, at: tuple[int, int]
) -> int:
    """Return one element of ``conv_of_reals`` by the oracle."""
    if order == OPENBLAS:
        return conv_by_openblas_exactly(case, image, channel, at)
    w = case.inputs["w"]
    window, per_group = geometry(case, w.shape[2:]), w.shape[0] // group_of(case)
    filters, seen = operands_exactly(case, image, channel, at)
    real = real_sum_exact(
        filters,
        seen,
        order=order,
        shape=(per_group, window.output[0] * window.output[1]),
        at=(channel % per_group, at[0] * window.output[1] + at[1]),
        transposed=_transposed(window, w.shape[1]),
    )
    return code_of_sum_exactly(case, channel, real)
