r"""Sums and products of codes, element by element: QLinearAdd and QLinearMul.

A sum has the contract's axis ``add``, and more values of it, those of ``vector_sums``.
A product is an accumulator of one term,

.. math::

    y = \operatorname{clamp}(\operatorname{requantize}((q_a - z_a)(q_b - z_b), m) + z_y),
    \qquad m = s_a s_b / s_y                                                     \tag{1}

with the axes ``requantize`` and ``multiplier`` of every dot product; ``dequantize`` is one more
value of the first: the float32 product of the two reals, quantized.

Two tensors of 8-bit codes have 2^16 pairs of codes. The probes are all of them, for scales that
make ties of each kind.

``by_range`` of both axes is ``elementwise_by_range``.

References
----------
onnxruntime, ``docs/ContribOperators.md`` (QLinearAdd, QLinearMul); ``docs/spec/operators.md``
section 4.
"""

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.contracts import Contract
from refquant.contracts.axes import AXES
from refquant.ops.elementwise import add_quantized
from refquant_conformance import oracle_elementwise
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs, contract_of
from refquant_conformance.arithmetic.elementwise_by_range import add_by_range, mul_by_range
from refquant_conformance.arithmetic.elementwise_probes import (
    add_probes,
    all_pairs,
    binary_case,
    mul_probes,
)
from refquant_conformance.arithmetic.rescale import (
    RESCALE_AXES,
    again,
    equal_modes,
    formed,
    implied,
    rescaled,
    rescaled_exactly,
)
from refquant_conformance.arithmetic.rules import qparams, real_quantized, rule
from refquant_conformance.arithmetic.vector_sums import (
    FUSED,
    LANES,
    added_fused,
    in_lanes,
    operands,
)
from refquant_conformance.oracle_fake_quantize import add_by_range_exact, mul_by_range_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import code_range, storage

__all__ = [
    "QLINEAR_ADD",
    "QLINEAR_MUL",
    "all_pairs",
    "binary_case",
    "qparams",
    "real_quantized",
    "rule",
]


def _element(case: Case, index: int) -> Case:
    alone = {name: array.reshape(-1)[index : index + 1] for name, array in operands(case).items()}
    return replace(case, inputs={**case.inputs, **alone})


def _operands(case: Case, index: int) -> tuple[tuple[int, float, int], tuple[int, float, int]]:
    codes = {name: int(array.reshape(-1)[index]) for name, array in operands(case).items()}
    (sa, za), (sb, zb) = rule(case, "a"), rule(case, "b")
    return (codes["a"], sa, za), (codes["b"], sb, zb)


def _add(case: Case, axes: Axes) -> Outputs | None:
    how = str(axes["add"])
    if how == "by_range":
        return add_by_range(case)
    if how == FUSED:
        return {"y": added_fused(case)}
    if how in LANES:
        rest = _add(case, {"add": "tflite_shift20"})
        assert rest is not None, "it refuses nothing"
        y = rest["y"].copy()
        whole = y.size // LANES[how] * LANES[how]
        y.reshape(-1)[:whole] = in_lanes(case, how).reshape(-1)[:whole]
        return {"y": y}
    try:
        y = add_quantized(
            case.inputs["a"],
            case.inputs["b"],
            a_qparams=qparams(case, "a"),
            b_qparams=qparams(case, "b"),
            y_qparams=qparams(case, "y"),
            contract=contract_of(axes),
        )
    except ValueError:  # a ratio of scales that the sum does not have
        return None
    return {"y": y}


def _add_exactly(case: Case, axes: Axes, output: str, index: int) -> int | None:
    a, b = _operands(case, index)
    limits, how = code_range(case.types["y"]), str(axes["add"])
    size = np.broadcast_shapes(case.inputs["a"].shape, case.inputs["b"].shape)
    if how in LANES and index >= int(np.prod(size)) // LANES[how] * LANES[how]:
        how = "tflite_shift20"
    if how == "by_range":
        return add_by_range_exact(a, b, rule(case, "y"), limits)
    how = how.partition("_by_")[0]
    try:
        return oracle_elementwise.add_exact(a, b, rule(case, "y"), how=how, limits=limits)
    except (ValueError, ArithmeticError):
        return None


def _mul(case: Case, axes: Axes) -> Outputs | None:
    if axes["requantize"] == "by_range":
        return mul_by_range(case)
    (sa, za), (sb, zb), (sy, zy) = (rule(case, name) for name in ("a", "b", "y"))
    a = case.inputs["a"].astype(np.int64) - za
    b = case.inputs["b"].astype(np.int64) - zb
    limits = code_range(case.types["y"])
    y: Array | None
    if axes["requantize"] == "dequantize":
        real = (a.astype(np.float32) * np.float32(sa)) * (b.astype(np.float32) * np.float32(sb))
        y = real_quantized(real, (sy, zy), limits)
    else:
        scales = tuple(case.inputs[f"{name}_scale"] for name in ("a", "b", "y"))
        m = formed((scales[0], scales[1], scales[2]), axes["multiplier"])
        y = rescaled(a * b, m, zero_point=zy, limits=limits, axes=axes)
    return None if y is None else {"y": y.astype(storage(case.types["y"]))}


def _mul_exactly(case: Case, axes: Axes, output: str, index: int) -> int | None:
    a, b = _operands(case, index)
    y, limits = rule(case, "y"), code_range(case.types["y"])
    if axes["requantize"] == "by_range":
        return mul_by_range_exact(a, b, y, limits)
    if axes["requantize"] == "dequantize":
        return oracle_elementwise.mul_of_reals_exact(a, b, y, limits)
    acc = (a[0] - a[2]) * (b[0] - b[2])
    return rescaled_exactly(acc, (a[1], b[1], y[0]), zero_point=y[1], limits=limits, axes=axes)


def _again(axes: Axes) -> bool:
    """A product of reals, or one by the range of y, has no multiplier."""
    if axes["requantize"] in ("dequantize", "by_range"):
        return axes["multiplier"] != "product_f32"
    return again(axes)


def _of_mul(contract: Contract) -> Axes:
    return {"multiplier": implied(contract)["multiplier"]}


_SCHEMES = ("u8", "i8")

QLINEAR_ADD = Arithmetic(
    op="qlinear_add",
    schemes=_SCHEMES,
    axes=MappingProxyType(
        {"add": (*(v for v in AXES["add"] if v != "unspecified"), FUSED, *LANES, "by_range")}
    ),
    spec=MappingProxyType({"add": None}),
    clause="onnxruntime QLinearAdd: C = (A_scale * (A - A_zp) + B_scale * (B - B_zp)) / C_scale "
    "+ C_zp; how it is rounded is not said",
    compute=_add,
    exact=_add_exactly,
    probes=add_probes,
    element=_element,
)

QLINEAR_MUL = Arithmetic(
    op="qlinear_mul",
    schemes=_SCHEMES,
    axes=MappingProxyType(
        {
            "requantize": (*RESCALE_AXES["requantize"], "dequantize", "by_range"),
            "multiplier": RESCALE_AXES["multiplier"],
        }
    ),
    spec=MappingProxyType({"requantize": None, "multiplier": None}),
    clause="onnxruntime QLinearMul: C = ((A - A_zp) * (B - B_zp)) * (A_scale * B_scale / C_scale) "
    "+ C_zp; how it is rounded is not said",
    compute=_mul,
    exact=_mul_exactly,
    probes=mul_probes,
    element=_element,
    implied=_of_mul,
    again=_again,
    equal=equal_modes(_SCHEMES),
)
