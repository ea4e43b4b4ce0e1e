"""Multipliers as integer and power of two, and the guard before a left shift."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refquant_runtime import UnsupportedError
from refquant_runtime.graph import Graph, Node, Quant, Value
from refquant_runtime.lower.context import Lowering
from refquant_runtime.lower.fixedpoint import (
    need_int32_when_shifted,
    quantize_multiplier,
    reach_of,
)

NODE = Node("conv", "Conv", (), (), {}, None)


@given(st.floats(2.0**-60, 2.0**20))
@example(1.0)
@example(0.5)
@example(1 - 2.0**-40)  # rounds up to the next power of two
@example(2.0**-33)
def test_multiplier_is_the_nearest_of_31_bits(real: float) -> None:
    m, shift = (int(part) for part in quantize_multiplier(np.array(real)))
    if m == 0:
        assert real < 2.0**-31, f"{real} is large enough to keep"
        assert shift == 0, f"zero has no shift, got {shift}"
        return
    assert 2**30 <= m < 2**31, f"{m} is not normalized"
    error = abs(Fraction(m) * Fraction(2) ** (shift - 31) - Fraction(real))
    assert error <= Fraction(2) ** (shift - 32), f"{m} * 2^({shift} - 31) is not nearest to {real}"


@pytest.mark.parametrize(
    ("dtype", "zero", "reach"),
    [("int8", 0, 128), ("int8", -128, 255), ("uint8", 0, 255), ("uint8", 128, 128)],
)
def test_reach_is_the_largest_distance_from_the_zero_point(
    dtype: str, zero: int, reach: int
) -> None:
    quant = Quant(np.float32(1), np.array(zero, np.int32), None)  # type: ignore[arg-type] # scalar
    value = Value("x", dtype, (1,), False, quant, None)
    assert reach_of(value) == reach, f"{dtype} with zero point {zero}"


@pytest.mark.parametrize(("bound", "shift", "fits"), [(2**30 - 1, 1, True), (2**30, 1, False),
                                                      (2**31 - 1, 0, True), (1, -5, True)])  # fmt: skip
def test_a_shift_that_leaves_int32_is_refused(bound: int, shift: int, fits: bool) -> None:
    graph = Graph(Path("m.rq"), "m", (), (), {}, (), {}, {}, "", 0)
    ctx = Lowering(graph, {}, isa="portable", nthreads=1)
    if fits:
        need_int32_when_shifted(ctx, NODE, np.array(bound), np.array(shift))
        return
    with pytest.raises(UnsupportedError, match="m.rq: node 'conv': its multiplier is above 1"):
        need_int32_when_shifted(ctx, NODE, np.array(bound), np.array(shift))
