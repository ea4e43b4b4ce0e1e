r"""Stages: the places where contracts differ, and what a contract computes in each.

    quantize      codes of reals, scale and zero point given: all float32 (``staircase``)
    special       the same for NaN, infinities, and numbers beyond int32
    parameters    scale and zero point of a range
    requantize    the code of an accumulator, multiplier given
    add           codes of a sum
    average_pool  codes of a mean

A stage other than ``quantize`` is a list of cases, the simplest first, and a row of integers for
each; the first case whose rows differ is the example. A contract that does not define a stage (its
backend has no such operator) has no rows there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.atlas.probes import RULERS, special
from refquant.contracts import Contract
from refquant.formats.affine import QParams, choose_qparams, quantize
from refquant.ops.elementwise import add_quantized
from refquant.ops.pool import average_pool_quantized
from refquant.ops.rescale import output_multiplier, rescale

__all__ = ["REFUSED", "STAGES", "Case", "Stage", "int8_codes"]

Rows = NDArray[np.int64]
Case = Mapping[str, Any]

REFUSED = int(np.iinfo(np.int64).min)
"""Stands in a row for an input that the contract refuses."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage as data: its cases, the rows of a contract, and a row in words.

    ``rows`` returns int64 of shape (cases, numbers a case), or None if the contract has no such
    operator. Where ``refusals_count``, an input that one contract refuses and the other computes
    is a difference; elsewhere it is a question that one of them is never asked.
    """

    name: str
    refusals_count: bool
    cases: Callable[[], Sequence[Case]]
    rows: Callable[[Contract], Rows | None]
    words: Callable[[Rows], Any]


def int8_codes(
    x: NDArray[np.float32], *, scale: float, zero_point: int, contract: Contract
) -> Rows:
    """Return the int8 codes of ``x`` for one ruler; REFUSED where the contract refuses.

    >>> from refquant.contracts import preset
    >>> x = np.array([0.5, 1.5], np.float32)
    >>> int8_codes(x, scale=1.0, zero_point=0, contract=preset("onnx")).tolist()
    [0, 2]
    """
    ruler = QParams(np.float32(scale), np.int32(zero_point), None, "int8")
    try:
        return quantize(x, ruler, contract=contract).astype(np.int64)
    except ValueError:
        if x.size == 1:
            return np.array([REFUSED])
    each = [int8_codes(one, scale=scale, zero_point=zero_point, contract=contract)
            for one in x.reshape(-1, 1)]  # fmt: skip
    return np.concatenate(each)


def _one(row: Rows) -> Any:
    """Return a row of one integer in words."""
    return None if row[0] == REFUSED else int(row[0])


@cache
def _special_cases() -> Sequence[Case]:
    return [
        {"x": float(x), "scale": ruler.scale, "zero_point": ruler.zero_point, "dtype": "int8"}
        for ruler in RULERS
        if ruler.scale == 1.0
        for x in special(ruler)
    ]


def _special_rows(contract: Contract) -> Rows:
    codes = [
        int8_codes(np.array([case["x"]], np.float32), scale=case["scale"],
                   zero_point=case["zero_point"], contract=contract)
        for case in _special_cases()
    ]  # fmt: skip
    return np.stack(codes)


_ENDS = (
    *((0, 1), (-1, 0), (-1, 1), (0, 0), (1, 1), (-1, 2), (-2, 1), (0.5, 1), (-1, -0.5)),
    *((-0.3, 0.7), (0.1, 0.1), (0, 1e-6), (0, 1e-30), (0, 1e-40), (-3, 1000), (-3e38, 3e38)),
)


@cache
def _parameter_cases() -> Sequence[Case]:
    kinds = (("int8", True), ("uint8", False), ("int8", False), ("int4", True), ("uint4", False),
             ("uint4", True))  # fmt: skip
    return [
        {"min": lo, "max": hi, "dtype": dtype, "symmetric": symmetric}
        for (dtype, symmetric), (lo, hi) in product(kinds, _ENDS)
    ]


def _parameter_rows(contract: Contract) -> Rows:
    rows = []
    for case in _parameter_cases():
        lo, hi = np.float32(case["min"]), np.float32(case["max"])
        try:
            ruler = choose_qparams(
                lo, hi, dtype=case["dtype"], symmetric=case["symmetric"], contract=contract
            )
            scale = int(np.float32(ruler.scale).view(np.int32))
            rows.append([scale, int(ruler.zero_point), ruler.code_range[0]])
        except ValueError:
            rows.append([REFUSED] * 3)
    return np.array(rows, np.int64)


def _parameter_words(row: Rows) -> Any:
    if row[0] == REFUSED:
        return None
    scale = float(np.int32(row[0]).view(np.float32))
    return {"scale": scale, "zero_point": int(row[1]), "qmin": int(row[2])}


_MULTIPLIERS = (0.5, 0.25, 0.75, 0.1, 1 / 3, 0.0375, 0.003)
_ACCUMULATORS = np.array([s * k for k in range(1, 2000) for s in (1, -1)], np.int64)
_HUGE = (2**24 + 1, -(2**24) - 1, 2**30 + 1, -(2**30) - 1, 2**31 - 1, -(2**31), 2**31, -(2**31) - 1)


@cache
def _requantize_cases() -> Sequence[Case]:
    small = product((0, 1), _MULTIPLIERS, _ACCUMULATORS.tolist())
    huge = product((0,), (2.0**-24, 0.1 * 2.0**-20), _HUGE)
    return [
        {"accumulator": acc, "multiplier": float(np.float32(m)), "zero_point": z, "dtype": "int8"}
        for z, m, acc in (*small, *huge)
    ]


def _requantize_rows(contract: Contract) -> Rows | None:
    codes = []
    for z, m in product((0, 1), _MULTIPLIERS):
        codes.append(_rescaled(_ACCUMULATORS, m, z, contract))
    for m in (2.0**-24, 0.1 * 2.0**-20):
        codes += [_rescaled(np.array([acc], np.int64), m, 0, contract) for acc in _HUGE]
    rows = np.concatenate(codes)[:, np.newaxis]
    return None if (rows == REFUSED).all() else rows


def _rescaled(acc: Rows, multiplier: float, zero_point: int, contract: Contract) -> Rows:
    """Return the int8 codes of accumulators; REFUSED for all if one is refused."""
    y = QParams(np.float32(1), np.int32(zero_point), None, "int8")
    try:
        m = output_multiplier(np.float32(multiplier), 1.0, 1.0, contract=contract)
        codes = rescale("Conv", acc, m, y_qparams=y, contract=contract)
    except ValueError:
        return np.full(acc.shape, REFUSED)
    return np.asarray(codes, np.int64)


_SCALES = (
    *((1.0, 1.0, 2.0), (1.0, 1.0, 1.0), (0.5, 0.25, 1.0)),
    *((0.05, 0.05, 0.1), (0.15, 0.15, 0.3), (0.1, 0.2, 0.3), (0.02, 0.013, 0.0301)),
)
_PAIRS = sorted(
    product(range(-24, 25), repeat=2), key=lambda pair: (abs(pair[0]) + abs(pair[1]), pair[0] < 0)
)


@cache
def _add_cases() -> Sequence[Case]:
    return [
        {
            "a": a,
            "b": b,
            "scales": [float(np.float32(scale)) for scale in scales],
            "zero_point": z,
            "dtype": "int8",
        }
        for z, scales, (a, b) in product((0, 1), _SCALES, _PAIRS)
    ]


def _add_rows(contract: Contract) -> Rows | None:
    a, b = np.array(_PAIRS, np.int8).T
    codes = []
    for z, scales in product((0, 1), _SCALES):
        p, q, y = (QParams(np.float32(s), np.int32(z), None, "int8") for s in scales)
        try:
            total = add_quantized(
                a, b, a_qparams=p, b_qparams=q, y_qparams=y, contract=contract
            ).astype(np.int64)
        except ValueError:
            return None
        codes.append(total)
    return np.concatenate(codes)[:, np.newaxis]


@cache
def _pool_cases() -> Sequence[Case]:
    return [
        {"codes": list(pair), "scale": 1.0, "zero_point": z, "dtype": "int8"}
        for z, pair in product((0, 1), _PAIRS)
    ]


def _pool_rows(contract: Contract) -> Rows | None:
    q = np.array(_PAIRS, np.int8).reshape(1, 1, -1)
    codes = []
    for z in (0, 1):
        p = QParams(np.float32(1), np.int32(z), None, "int8")
        try:
            mean = average_pool_quantized(
                q, x_qparams=p, y_qparams=p, contract=contract, kernel_shape=[2], strides=[2]
            )
        except ValueError:
            return None
        codes.append(mean.reshape(-1).astype(np.int64))
    return np.concatenate(codes)[:, np.newaxis]


STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        stage.name: stage
        for stage in (
            Stage("special", True, _special_cases, _special_rows, _one),
            Stage("parameters", False, _parameter_cases, _parameter_rows, _parameter_words),
            Stage("requantize", True, _requantize_cases, _requantize_rows, _one),
            Stage("add", True, _add_cases, _add_rows, _one),
            Stage("average_pool", True, _pool_cases, _pool_rows, _one),
        )
    }
)
"""The stages that are lists of cases, in the order in which an example is looked for."""
