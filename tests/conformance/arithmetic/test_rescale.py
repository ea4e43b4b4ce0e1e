"""Sums, multipliers and rounding on arrays, and their exact twins, for every mode."""

import random

import numpy as np
import pytest

from refquant_conformance.arithmetic import rescale
from refquant_conformance.arithmetic.product_probes import FORMED, SCALES
from refquant_conformance.protocol import Array

MODES = rescale.RESCALE_AXES["requantize"]
WAYS = rescale.RESCALE_AXES["multiplier"]


def tuple_of(scales: tuple[float, float, float]) -> tuple[Array, Array, Array]:
    sa, sb, sy = (np.array(s, np.float32) for s in scales)
    return sa, sb, sy


@pytest.mark.parametrize("accumulator", rescale.ACCUMULATORS)
@pytest.mark.parametrize("types", [(a, b) for a in ("uint8", "int8") for b in ("uint8", "int8")])
def test_sums_are_those_of_the_oracle(accumulator: str, types: tuple[str, str]) -> None:
    rng = np.random.default_rng(3)
    for length in (1, 2, 5, 16):
        info = [np.iinfo(t) for t in types]
        a = rng.choice([info[0].min, info[0].max, 7, 3], (3, length))
        b = rng.choice([info[1].min, info[1].max, 5], (length, 4))
        za = np.asarray(rng.integers(info[0].min, info[0].max))
        zb = rng.integers(info[1].min, info[1].max, 4)
        bias = rng.integers(-(2**31), 2**31, 4)
        total = rescale.accumulated(
            a, b, zero_points=(za, zb), bias=bias, types=types, accumulator=accumulator
        )
        for row in range(3):
            for column in range(4):
                counted = rescale.summed_exactly(
                    a[row].tolist(),
                    b[:, column].tolist(),
                    zero_points=(int(za), int(zb[column])),
                    bias=int(bias[column]),
                    types=types,
                    accumulator=accumulator,
                )
                if total is not None:
                    assert total[row, column] == counted, f"{length} products, {types}"
                    continue
                assert accumulator == "int32_exact", "only exact sums are refused"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", WAYS)
def test_codes_are_those_of_the_oracle(mode: str, way: str) -> None:
    rng = random.Random(mode + way)
    axes = {"requantize": mode, "multiplier": way}
    for scales in rng.sample([*SCALES, *FORMED], 6):
        given = tuple_of(scales)
        m = rescale.formed(given, way)
        acc = np.array([rng.randint(-400, 400) for _ in range(9)], np.int64)
        made = rescale.rescaled(acc, m, zero_point=3, limits=(-128, 127), axes=axes)
        for k, value in enumerate(acc.tolist()):
            one = rescale.rescaled_exactly(
                value,
                (float(given[0]), float(given[1]), float(given[2])),
                zero_point=3,
                limits=(-128, 127),
                axes=axes,
            )
            if made is not None:
                assert made[k] == one, f"{value} by {scales}"


def test_multipliers_of_columns_are_formed_column_by_column() -> None:
    columns = np.array([0.25, 0.1, 3.0], np.float32)
    for way in WAYS:
        sa, sy = np.array(0.3, np.float32), np.array(0.7, np.float32)
        whole = rescale.formed((sa, columns, sy), way)
        each = [rescale.formed((sa, np.asarray(c), sy), way) for c in columns]
        assert whole.tolist() == [float(m) for m in each], f"{way}"
