r"""Softmax of codes along the last axis, by the axis ``softmax``.

.. math::

    y_i = \operatorname{quantize}\Bigl(\frac{e^{s_x q_i}}{\sum_j e^{s_x q_j}}\Bigr)    \tag{1}

with the contract's values: a formula of reals, tables of float32, a table in fixed point. They
differ in one code of thousands, so the probes have rows that were searched for.

References
----------
``docs/spec/operators.md`` section 4; :mod:`refquant.ops.softmax`.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.contracts.axes import AXES
from refquant.ops.softmax import quotient_table, softmax_quantized, softmax_table
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs, contract_of
from refquant_conformance.arithmetic.conv_probes import scrambled
from refquant_conformance.arithmetic.elementwise import qparams, rule
from refquant_conformance.arithmetic.pool_probes import unary_case
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_softmax import softmax_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import code_range

__all__ = ["QLINEAR_SOFTMAX"]

_LARGE = ((0.02, 0.1), (0.05, 0.03), (0.1, 0.2), (0.3, 0.05))


_TELLING: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("0x1.569a04p-6", (222, 26, 55)),
    ("0x1.d9de54p-5", (233, 222, 215, 214)),
    ("0x1.39e7c6p-5", (51, 30, 81, 62, 119, 211)),
    ("0x1.7b092cp-4", (238, 201, 212, 210, 232, 212)),
    ("0x1.ec9816p-5", (210, 192, 207, 250, 164, 222)),
    ("0x1.2bce34p-4", (230, 202, 221)),
    ("0x1.9c98c8p-5", (224, 200, 231, 215)),
    ("0x1.d11326p-6", (202, 207, 214, 237)),
    ("0x1.50552ap-5", (209, 230, 207, 208)),
)
"""Scales, and rows of uint8, of which some two arithmetics make different codes."""


def _compute(case: Case, axes: Axes) -> Outputs | None:
    how = str(axes["softmax"])
    if how == "fixed_point_table" and not _is_fixed(case):
        return None
    contract = contract_of(axes)
    x, y = qparams(case, "x"), qparams(case, "y")
    table: Array | None = None
    if how == "float_table_quotient":
        table = quotient_table(x, length=case.inputs["x"].shape[-1])
    elif how != "dequantize":
        table = softmax_table(x, beta=1.0, contract=contract)
    codes = case.inputs["x"]
    return {"y": softmax_quantized(codes, table, x_qparams=x, y_qparams=y, contract=contract)}


def _is_fixed(case: Case) -> bool:
    """Whether the output has the one scale that the table in fixed point has, 1/256."""
    return rule(case, "y") == (1 / 256, code_range(case.types["y"])[0])


def _exact(case: Case, axes: Axes, output: str, index: int) -> int | None:
    x = case.inputs["x"]
    row, place = divmod(index, x.shape[-1])
    codes = [int(v) for v in x.reshape(-1, x.shape[-1])[row]]
    if axes["softmax"] == "fixed_point_table" and not _is_fixed(case):
        return None
    return softmax_exact(
        codes, place, rule(case, "x"), rule(case, "y"), how=str(axes["softmax"]),
        limits=code_range(case.types["y"]),
    )  # fmt: skip


def _row(case: Case, index: int) -> Case:
    """Return the case of one row: an output needs all of it."""
    x = case.inputs["x"]
    row = x.reshape(-1, x.shape[-1])[index // x.shape[-1]]
    return replace(case, inputs={**case.inputs, "x": row[None]})


def _probes(scheme: str) -> Sequence[Case]:
    """Return rows of codes near each other, far apart, equal; and one code alone at the top."""
    kind = types_of("qlinear_softmax", scheme)["x"]
    qmin, qmax = code_range(kind)
    found = []
    for k, scales in enumerate(_LARGE):
        for n in (2, 5, 16, 40):
            for sx in scales:
                x = scrambled(kind, (64, n), 13 * k + n)
                x[0] = qmax - 3
                x[1], x[1, 0] = qmin, qmax  # one has it all
                for sy in (1 / 256, *((0.004,) if k % 2 else ())):
                    y = (sy, qmin if sy == 1 / 256 else qmin + 3)
                    found.append(unary_case("qlinear_softmax", scheme, x, ((sx, qmin + 100), y)))
    for text, row in _TELLING:
        x = np.array([row]) + qmin
        rules = (float.fromhex(text), qmin + 100), (1 / 256, qmin)
        found.append(unary_case("qlinear_softmax", scheme, x, rules))
    return found


QLINEAR_SOFTMAX = Arithmetic(
    op="qlinear_softmax",
    schemes=("u8", "i8"),
    axes=MappingProxyType({"softmax": tuple(v for v in AXES["softmax"] if v != "unspecified")}),
    spec=MappingProxyType({"softmax": None}),
    clause="onnxruntime QLinearSoftmax: Softmax of the dequantized codes, quantized; how it is "
    "rounded is not said",
    compute=_compute,
    exact=_exact,
    probes=_probes,
    element=_row,
)
