r"""Functions of one code: logistic, hyperbolic tangent, leaky ReLU, as tables of 256 codes.

.. math::

    y = \operatorname{quantize}(f(s_x (q - z_x)))    \tag{1}

Two axes. ``function``: f in float32, as ``functions`` says. ``table``: how the result becomes a
code, as ``tables`` says; a leaky ReLU has two ways more, ``leaky_relu``.

References
----------
``docs/spec/operators.md`` sections 1 and 4.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.contracts.axes import AxisValue
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.arithmetic.elementwise import rule
from refquant_conformance.arithmetic.functions import EVALUATIONS, evaluated
from refquant_conformance.arithmetic.leaky_relu import SLOPES, leaky_codes, leaky_exactly
from refquant_conformance.arithmetic.pool_probes import unary_case
from refquant_conformance.arithmetic.tables import TABLES, table_exactly, table_of_reals
from refquant_conformance.arithmetic.vector_sums import fused_real
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_elementwise import fused_real_exact
from refquant_conformance.oracle_functions import FUNCTIONS
from refquant_conformance.protocol import Case
from refquant_conformance.rational import multiply
from refquant_conformance.types import code_range, storage

__all__ = ["QLINEAR_LEAKY_RELU", "QLINEAR_SIGMOID", "QLINEAR_TANH", "every_code"]

_ENDS = {
    "qlinear_sigmoid": ((1 / 256, 0), (0.004, 7), (1 / 128, 60)),
    "qlinear_tanh": ((1 / 128, 128), (0.01, 99), (0.0079, 130)),
    "qlinear_leaky_relu": ((0.05, 128), (0.1, 100), (0.2, 7), (0.04, 131), (0.3, 60)),
}
_SCALES = (0.05, 1 / 16, 0.1, 0.0234375, 0.2, 0.031, 0.013)
_TELLING = {
    "qlinear_sigmoid": (
        *("0x1.ae328cp-6", "0x1.21ee94p-4", "0x1.5a32bap-4", "0x1.1d5dacp-5", "0x1.7dc4f4p-6"),
        *("0x1.f993d2p-6", "0x1.613b02p-4", "0x1.405df4p-5", "0x1.5a7016p-7", "0x1.5bf4eap-5"),
        *("0x1.2483b4p-4", "0x1.53ffd4p-4", "0x1.d12ff2p-6", "0x1.af6c7p-4", "0x1.14e578p-5"),
        *("0x1.7c3cdap-8", "0x1.7d492cp-8"),
    ),
    "qlinear_tanh": (
        *("0x1.499d34p-6", "0x1.c685e4p-5", "0x1.0cc8a8p-6", "0x1.3097aep-5", "0x1.252088p-5"),
        *("0x1.e8f06ep-7", "0x1.612b7ep-7", "0x1.697ee4p-5", "0x1.99404ap-6", "0x1.0c83a8p-6"),
        *("0x1.1e12fp-5", "0x1.5a44dp-7", "0x1.d96018p-8", "0x1.edbd18p-5"),
    ),
    "qlinear_leaky_relu": (),
}
"""Scales of x for which a code lies so near a tie that evaluations and tables part."""


def _compute(case: Case, axes: Axes) -> Outputs:
    (sx, zx), name, how = rule(case, "x"), case.op.removeprefix("qlinear_"), axes["table"]
    offset = case.inputs["x"].astype(np.int64) - zx
    real = offset.astype(np.float32) * np.float32(sx)
    if how == "fused_reciprocal":
        real = fused_real(case.inputs["x"], (sx, zx))
    if name == "leaky_relu":
        codes = leaky_codes(case, offset, real, how)
    else:
        codes = table_of_reals(evaluated(name, real, axes["function"]), how, case)
    limits = code_range(case.types["y"])
    return {"y": np.clip(codes, *limits).astype(storage(case.types["y"]))}


def _exact(case: Case, axes: Axes, output: str, index: int) -> int:
    sx, zx = rule(case, "x")
    offset = int(case.inputs["x"].reshape(-1)[index]) - zx
    low, high = code_range(case.types["y"])
    real, how = multiply(float(offset), sx), axes["table"]
    if how == "fused_reciprocal":
        real = fused_real_exact((offset + zx, sx, zx))
    if case.op == "qlinear_leaky_relu":
        code = leaky_exactly(case, offset, real, how)
    else:
        v = FUNCTIONS[case.op.removeprefix("qlinear_"), str(axes["function"])](real)
        code = table_exactly(v, how, case)
    return min(max(code, low), high)


def every_code(op: str, scheme: str, x: tuple[float, int], y: tuple[float, int]) -> Case:
    """Return the case of all codes, one after the other; of a leaky ReLU with slope 0.1.

    >>> every_code("qlinear_tanh", "i8", (0.5, 0), (1 / 128, 0)).inputs["x"].shape
    (256,)
    """
    qmin, qmax = code_range(types_of(op, scheme)["x"])
    case = unary_case(op, scheme, np.arange(qmin, qmax + 1), (x, y))
    return replace(case, params={"alpha": 0.1}) if op == "qlinear_leaky_relu" else case


def _probes(op: str, scheme: str) -> Sequence[Case]:
    """Return all codes for some scales; half with the output that engines fix."""
    shift = -128 if scheme == "i8" else 0
    found = []
    for k, sx in enumerate(_SCALES):
        for sy, zy in _ENDS[op]:
            zx = (128, 100, 131)[k % 3]
            found.append(every_code(op, scheme, (sx, zx + shift), (sy, zy + shift)))
    for text in _TELLING[op]:
        for sy, zy in _ENDS[op]:
            x = (float.fromhex(text), 128 + shift)
            found.append(every_code(op, scheme, x, (sy, zy + shift)))
    if op == "qlinear_leaky_relu":
        for alpha in (0.25, 0.01, 0.3):
            ties = every_code(op, scheme, (0.25, 128 + shift), (0.5, 128 + shift))
            found.append(replace(ties, params={"alpha": alpha}))
        found.append(every_code(op, scheme, (0.1, 0), (0.04, 131 + shift)))
    return found


def _element(case: Case, index: int) -> Case:
    return replace(
        case, inputs={**case.inputs, "x": case.inputs["x"].reshape(-1)[index : index + 1]}
    )


def _of(op: str, axes: dict[str, tuple[AxisValue, ...]], clause: str) -> Arithmetic:
    return Arithmetic(
        op=op,
        schemes=("u8", "i8"),
        axes=MappingProxyType(axes),
        spec=MappingProxyType(dict.fromkeys(axes)),
        clause=clause,
        compute=_compute,
        exact=_exact,
        probes=lambda scheme: _probes(op, scheme),
        element=_element,
    )


QLINEAR_SIGMOID = _of(
    "qlinear_sigmoid",
    {"function": EVALUATIONS["sigmoid"], "table": TABLES},
    "onnxruntime QLinearSigmoid: dequantize, 1 / (1 + exp(-x)), quantize",
)
QLINEAR_TANH = _of(
    "qlinear_tanh",
    # No input of 8 bits was found that tells what is fused apart.
    {
        "function": EVALUATIONS["tanh"],
        "table": tuple(table for table in TABLES if table != "fused_reciprocal"),
    },
    "ONNX Tanh between DequantizeLinear and QuantizeLinear",
)
QLINEAR_LEAKY_RELU = _of(
    "qlinear_leaky_relu",
    {"table": (*TABLES, *SLOPES)},
    "onnxruntime QLinearLeakyRelu: dequantize, x if x >= 0 else alpha * x, quantize",
)
