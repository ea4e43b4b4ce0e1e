"""Multipliers as integer and power of two, and the guard before a left shift."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refquant_runtime import UnsupportedError
from refquant_runtime.graph import Graph, Node
from refquant_runtime.lower.context import Lowering
from refquant_runtime.lower.fixedpoint import (
    float_multiplier,
    need_int32_when_shifted,
    quantize_multiplier,
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
    ("bound", "shift", "fits"),
    [(2**30 - 1, 1, True), (2**30, 1, False), (2**31 - 1, 0, True), (1, -5, True)],
)
def test_a_shift_that_leaves_int32_is_refused(bound: int, shift: int, fits: bool) -> None:
    graph = Graph(Path("m.rq"), "m", (), (), {}, (), {}, {}, "", 0)
    ctx = Lowering(graph, {}, isa="portable", nthreads=1)
    if fits:
        need_int32_when_shifted(ctx, NODE, np.array(bound), np.array(shift))
        return
    with pytest.raises(UnsupportedError, match=r"m\.rq: node 'conv': its multiplier is above 1"):
        need_int32_when_shifted(ctx, NODE, np.array(bound), np.array(shift))


def test_an_infinite_real_multiplier_is_refused() -> None:
    graph = Graph(Path("m.rq"), "m", (), (), {}, (), {}, {}, "", 0)
    ctx = Lowering(graph, {}, isa="portable", nthreads=1)
    scales = np.array([1.0, 3e38], np.float32)
    exact = float_multiplier(ctx, NODE, np.float32(0.5), scales, np.float32(2))  # type: ignore[arg-type]
    assert exact.tolist() == [0.25, float(np.float32(3e38)) / 4], "f32(f32(sx * sw) / sy)"
    with pytest.raises(
        UnsupportedError, match=r"m\.rq: node 'conv': its multiplier .* is infinite"
    ):
        float_multiplier(ctx, NODE, np.float32(0.5), scales, np.float32(0.01))  # type: ignore[arg-type]
