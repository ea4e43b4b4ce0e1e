r"""Matrix products of codes: QLinearMatMul and MatMulInteger, by the axes of ``rescale``.

``a`` is (M, K), ``b`` (K, N); scale and zero point of b are one, or one a column. ``clamp_min`` and
``clamp_max`` are codes of y: a fused activation.

More values of ``requantize`` need no multiplier: ``by_range``, the sum becomes a code by the range
of the output (``matmul_by_range``); ``reals_fused`` and ``reals_mlas``, a product of float32
matrices is quantized (``matmul_of_reals``); and those of ``rescale_steps``.

One more ``accumulator`` of MatMulInteger, ``float32_saturate``: the sum is a float32, and the
largest below 2^31 is the largest code. Which float32 a sum beyond 2^24 is depends on the order of a
kernel's additions; here it is the nearest.

References
----------
ONNX, QLinearMatMul-21 and MatMulInteger-10; ``docs/spec/operators.md`` sections 3 to 5.
"""

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.contracts import Contract
from refquant.contracts.axes import AxisValue
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.arithmetic.matmul_by_range import (
    matmul_by_range,
    matmul_by_range_exactly,
)
from refquant_conformance.arithmetic.matmul_of_reals import (
    matmul_of_reals,
    matmul_of_reals_exactly,
)
from refquant_conformance.arithmetic.product_axes import (
    MATMUL_AXES,
    again_or_no_multiplier,
    idle,
    limits_of,
    with_bias,
)
from refquant_conformance.arithmetic.product_probes import integer_probes, probes
from refquant_conformance.arithmetic.real_sums import ORDERS
from refquant_conformance.arithmetic.rescale import (
    ACCUMULATORS,
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
from refquant_conformance.rational import float32
from refquant_conformance.types import storage

__all__ = ["MATMUL_INTEGER", "QLINEAR_MATMUL", "limits_of"]

_ZERO = np.zeros((), np.int64)
_REALS = (*ORDERS, "by_range_of_reals")
_LEAST, _LARGEST = np.float32(-(2.0**31)), np.float32(2.0**31 - 128)


def _sums(case: Case, axes: Axes) -> Array | None:
    return shared_sums(case, axes["accumulator"], _summed)


def _summed(case: Case, accumulator: AxisValue) -> Array | None:
    inputs = case.inputs
    return accumulated(
        inputs["a"],
        inputs["b"],
        zero_points=(inputs.get("a_zero_point", _ZERO), inputs.get("b_zero_point", _ZERO)),
        bias=inputs.get("bias"),
        types=(case.types["a"], case.types["b"]),
        accumulator=accumulator,
    )


def _sum_exactly(case: Case, axes: Axes, index: int) -> tuple[int | None, int]:
    """Return one accumulator by the oracle, and its column."""
    inputs = case.inputs
    row, column = divmod(index, inputs["b"].shape[1])
    zb = inputs.get("b_zero_point", _ZERO).reshape(-1)
    bias = inputs.get("bias")
    total = summed_exactly(
        [int(v) for v in inputs["a"][row]],
        [int(v) for v in inputs["b"][:, column]],
        zero_points=(int(inputs.get("a_zero_point", _ZERO)), int(zb[column % zb.size])),
        bias=0 if bias is None else int(bias[column]),
        types=(case.types["a"], case.types["b"]),
        accumulator=axes["accumulator"],
    )
    return total, column


def _compute(case: Case, axes: Axes) -> Outputs | None:
    axes = with_bias(case, axes)
    if axes["requantize"] == "by_range":
        return matmul_by_range(case, axes["accumulator"])
    if axes["requantize"] in _REALS:
        return matmul_of_reals(case, str(axes["requantize"]))
    mode, inputs, limits = str(axes["requantize"]), case.inputs, limits_of(case)
    acc = _sums(without_bias(case) if mode in STEPS else case, axes)
    if acc is None:
        return None
    scales = inputs["a_scale"], inputs["b_scale"], inputs["y_scale"]
    if mode in STEPS:
        y = in_steps(acc, inputs.get("bias"), scales, case=case, limits=limits, mode=mode)
    else:
        m, zero_point = formed(scales, axes["multiplier"]), int(inputs["y_zero_point"])
        y = rescaled(acc, m, zero_point=zero_point, limits=limits, axes=axes)
    return None if y is None else {"y": y.astype(storage(case.types["y"]))}


def _exact(case: Case, axes: Axes, output: str, index: int) -> int | None:
    axes = with_bias(case, axes)
    if axes["requantize"] == "by_range":
        return matmul_by_range_exactly(case, axes["accumulator"], index)
    if axes["requantize"] in _REALS:
        return matmul_of_reals_exactly(case, str(axes["requantize"]), index)
    mode, inputs, limits = str(axes["requantize"]), case.inputs, limits_of(case)
    acc, column = _sum_exactly(without_bias(case) if mode in STEPS else case, axes, index)
    if acc is None:
        return None
    sb = inputs["b_scale"].reshape(-1)
    scales = (float(inputs["a_scale"]), float(sb[column % sb.size]), float(inputs["y_scale"]))
    if mode in STEPS:
        bias = int(inputs["bias"][column]) if "bias" in inputs else None
        return in_steps_exactly(acc, bias, scales, case=case, limits=limits, mode=mode)
    zero_point = int(inputs["y_zero_point"])
    return rescaled_exactly(acc, scales, zero_point=zero_point, limits=limits, axes=axes)


def _element(case: Case, index: int) -> Case:
    """Return the case of one row and one column."""
    row, column = divmod(index, case.inputs["b"].shape[1])
    alone = dict(case.inputs)
    alone["a"] = alone["a"][row : row + 1]
    alone["b"] = alone["b"][:, column : column + 1]
    for name in ("b_scale", "b_zero_point", "bias"):
        if name in alone and alone[name].ndim:
            alone[name] = alone[name][column : column + 1]
    return replace(case, inputs=alone)


def _integers(case: Case, axes: Axes) -> Outputs | None:
    if axes["accumulator"] == "float32_saturate":
        a, b = (
            case.inputs[n].astype(np.int64) - case.inputs.get(f"{n}_zero_point", _ZERO)
            for n in ("a", "b")
        )
        real = np.clip((a @ b).astype(np.float32), _LEAST, _LARGEST)
        return {"y": real.astype(np.int32)}
    acc = _sums(case, axes)
    return None if acc is None else {"y": acc.astype(np.int32)}


def _integers_exactly(case: Case, axes: Axes, output: str, index: int) -> int | None:
    if axes["accumulator"] == "float32_saturate":
        row, column = divmod(index, case.inputs["b"].shape[1])
        a, b = case.inputs["a"][row], case.inputs["b"][:, column]
        zb = case.inputs.get("b_zero_point", _ZERO).reshape(-1)
        za, z = int(case.inputs.get("a_zero_point", _ZERO)), int(zb[column % zb.size])
        total = sum((int(p) - za) * (int(q) - z) for p, q in zip(a, b, strict=True))
        return int(min(max(float32(total), -(2.0**31)), 2.0**31 - 128))
    return _sum_exactly(case, axes, index)[0]


def _wrapping(contract: Contract) -> Axes:
    return {"accumulator": implied(contract)["accumulator"]}


_SCHEMES = tuple(OPERATORS["qlinear_matmul"].schemes)

QLINEAR_MATMUL = Arithmetic(
    op="qlinear_matmul",
    schemes=_SCHEMES,
    axes=MappingProxyType(MATMUL_AXES),
    spec=MappingProxyType(
        {"requantize": "float_rne", "multiplier": None, "accumulator": "int32_wrap"}
    ),
    clause="ONNX QLinearMatMul-21: saturate((x / y_scale) + y_zero_point), half to even; "
    "the accumulation may overflow if and only if in 32 bits",
    compute=_compute,
    exact=_exact,
    probes=probes,
    element=_element,
    implied=implied,
    idle=idle,
    again=again_or_no_multiplier,
    equal=equal_modes(_SCHEMES),
)

MATMUL_INTEGER = Arithmetic(
    op="matmul_integer",
    schemes=tuple(OPERATORS["matmul_integer"].schemes),
    axes=MappingProxyType({"accumulator": (*ACCUMULATORS, "float32_saturate")}),
    spec=MappingProxyType({"accumulator": "int32_wrap"}),
    clause="ONNX MatMulInteger-10: the accumulation may overflow if and only if in 32 bits",
    compute=_integers,
    exact=_integers_exactly,
    probes=integer_probes,
    element=_element,
    implied=_wrapping,
)
