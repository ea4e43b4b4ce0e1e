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

from refquant_conformance.arithmetic.base import Outputs
from refquant_conformance.arithmetic.conv_real_operands import (
    code_of_sum_exactly,
    codes_of_sums,
    group_of,
    operands_exactly,
    real_filters,
    real_windows,
)
from refquant_conformance.arithmetic.geometry import geometry
from refquant_conformance.arithmetic.openblas_sums import openblas_sums
from refquant_conformance.arithmetic.real_sums import real_sums
from refquant_conformance.oracle_openblas import openblas_sum_exact
from refquant_conformance.oracle_real_sums import real_sum_exact
from refquant_conformance.protocol import Case

__all__ = ["OPENBLAS", "conv_by_openblas", "conv_by_openblas_exactly"]

OPENBLAS = "reals_openblas"
"""The value of ``requantize`` that this file computes."""


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


def conv_by_openblas(case: Case) -> Outputs:
    """Return the codes of eq. (1)."""
    case = _filled(case)
    inputs, w = case.inputs, case.inputs["w"]
    count, images = w.shape[0], inputs["x"].shape[0]
    filters, part = real_filters(case), real_windows(case, inputs["x"])
    if count == group_of(case):
        real = openblas_sums(filters[:, 0], part)
    else:
        each = [real_sums(f, p, order="reals_fused") for f, p in zip(filters, part, strict=True)]
        real = np.concatenate(each)
    y = codes_of_sums(case, real)["y"]
    return {"y": y.reshape(count, images, *geometry(case, w.shape[2:]).output).swapaxes(0, 1)}


def conv_by_openblas_exactly(case: Case, image: int, channel: int, at: tuple[int, int]) -> int:
    """Return one element of ``conv_by_openblas`` by the oracle."""
    case = _filled(case)
    inputs, w = case.inputs, case.inputs["w"]
    per_group, (rows, wide) = w.shape[0] // group_of(case), geometry(case, w.shape[2:]).output
    filters, seen = operands_exactly(case, image, channel, at)
    total, place_of = inputs["x"].shape[0] * rows * wide, (image * rows + at[0]) * wide + at[1]
    if per_group == 1:
        real = openblas_sum_exact(filters, seen, columns=total, at=place_of)
    else:
        shape, here = (per_group, total), (channel % per_group, place_of)
        real = real_sum_exact(filters, seen, order="reals_fused", shape=shape, at=here)
    return code_of_sum_exactly(case, channel, real)
