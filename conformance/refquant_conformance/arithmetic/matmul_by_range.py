r"""Matrix products whose sums become codes by the range of the output, by ``fake_quantize`` (3).

Sums of int8 weights without a zero point are int32 sums of the codes a, and the zero point of a
moves the range; all others are float32 sums, here exact ones.

References
----------
As ``fake_quantize``.
"""

import numpy as np

from refquant.contracts.axes import AxisValue
from refquant_conformance.arithmetic.base import Outputs
from refquant_conformance.arithmetic.fake_quantize import sums_by_range
from refquant_conformance.arithmetic.product_axes import limits_of
from refquant_conformance.arithmetic.rescale import accumulated, summed_exactly
from refquant_conformance.oracle_fake_quantize import sum_by_range_exact
from refquant_conformance.protocol import Case
from refquant_conformance.types import code_range, storage

__all__ = ["matmul_by_range", "matmul_by_range_exactly"]

_ZERO = np.zeros((), np.int64)


def _integer_sums(case: Case, types: tuple[str, str]) -> bool:
    """Return whether the kernel adds codes: weights without a zero point, in int8."""
    return types[1] == "int8" and not case.inputs["b_zero_point"].any()


def matmul_by_range(case: Case, accumulator: AxisValue) -> Outputs | None:
    """Return the codes of a product; None where the accumulator refuses, or is not the kernel's."""
    inputs, types = case.inputs, (case.types["a"], case.types["b"])
    a, b = (inputs[name].astype(np.int64) for name in ("a", "b"))
    za, zb = (inputs[f"{name}_zero_point"].astype(np.int64) for name in ("a", "b"))
    if _integer_sums(case, types):
        raw = accumulated(
            *(inputs["a"], inputs["b"]),
            zero_points=(_ZERO, _ZERO),
            bias=None,
            types=types,
            accumulator=accumulator,
        )
        if raw is None:
            return None
        sums, moves = raw, za * b.sum(axis=0)
    elif accumulator != "int32_wrap":  # sums of float32 have no other
        return None
    else:
        sums, moves = (a - za) @ (b - zb), np.zeros(b.shape[1], np.int64)
    y = sums_by_range(
        sums + inputs.get("bias", _ZERO).astype(np.int64),
        moves,
        (inputs["a_scale"], inputs["b_scale"], inputs["y_scale"]),
        zero_point=int(inputs["y_zero_point"]),
        codes=case.types["y"],
        limits=limits_of(case),
    )
    return {"y": y.astype(storage(case.types["y"]))}


def matmul_by_range_exactly(case: Case, accumulator: AxisValue, index: int) -> int | None:
    """Return one element of ``matmul_by_range`` by the oracle."""
    inputs, (row, column) = case.inputs, divmod(index, case.inputs["b"].shape[1])
    a, za = [int(v) for v in inputs["a"][row]], int(inputs["a_zero_point"])
    columns = [[int(v) for v in b] for b in inputs["b"].T]
    zb, sb = (inputs[f"b_{name}"].reshape(-1) for name in ("zero_point", "scale"))
    moves = [0] * len(columns)
    types = case.types["a"], case.types["b"]
    if _integer_sums(case, types):
        raw = summed_exactly(
            *(a, columns[column]),
            zero_points=(0, 0),
            bias=0,
            types=types,
            accumulator=accumulator,
        )
        if raw is None:
            return None
        total = raw
        moves = [za * sum(b) for b in columns]
    elif accumulator != "int32_wrap":
        return None
    else:
        z = int(zb[column % zb.size])
        total = sum((p - za) * (q - z) for p, q in zip(a, columns[column], strict=True))
    if "bias" in inputs:
        total += int(inputs["bias"][column])
    return sum_by_range_exact(
        total,
        column,
        [(move, float(sb[k % sb.size])) for k, move in enumerate(moves)],
        scales=(float(inputs["a_scale"]), float(inputs["y_scale"])),
        zero_point=int(inputs["y_zero_point"]),
        codes=code_range(case.types["y"]),
        limits=limits_of(case),
    )
