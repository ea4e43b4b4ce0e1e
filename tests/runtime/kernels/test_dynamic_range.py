"""Rows of reals to codes, and the fused multiply-add: the reference's bits, at edges and ties."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from refquant.contracts import preset
from refquant.numerics.fused import fused_multiply_add as reference_fma
from refquant.ops.dynamic_range import quantize_rows as reference
from refquant_runtime.kernels.dynamic_range import ROWS, fused_multiply_add, quantize_rows
from tests.runtime.kernels.kernel_calls import Memory, call

KINDS = {"symmetric": 0, "tflite_hybrid": 1, "xnnpack_hybrid": 2}


@njit
def fma(a: Any, b: Any, c: Any) -> Any:
    return fused_multiply_add(a, b, c)


def rows() -> Any:
    rng = np.random.default_rng(2)
    x = (rng.normal(size=(11, 13)) * 10.0 ** rng.uniform(-6, 6, (11, 1))).astype(np.float32)
    x[0] = 0
    x[1] = np.arange(13) * np.float32(0.5)
    x[1, -1] = 127
    x[2, 3], x[3, 4], x[4, 5] = np.nan, np.inf, -np.inf
    x[5] = np.nan
    x[6] = [3e38, -3e38, *[1] * 11]
    x[7] *= np.float32(1e-40)
    x[8] = [255, *(np.arange(12) + np.float32(0.5))]
    return x


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_the_references(kind: str, alone: bool, threads: int) -> None:
    delegated = kind == "xnnpack_hybrid"
    contract = preset("xnnpack_hybrid" if delegated else "tflite_hybrid")
    x, symmetric = rows(), kind == "symmetric"
    for part in [x[i : i + 1] for i in range(len(x))] if alone else [x]:
        codes, scale, zero = reference(part, symmetric=symmetric, contract=contract)
        m, low = Memory(), -127 if symmetric else -128
        n = part.shape[1]
        places = {"x": m.put(part), "y": m.reserve(part.size), "scale": m.reserve(4 * len(part)),
                  "zero": m.reserve(len(part))}  # fmt: skip
        call(
            quantize_rows, ROWS,
            {**places, "rows": len(part), "n": n, "kind": KINDS[kind], "low": low,
             "rule": 1 if delegated else 2, "nan": 127 if delegated else low},
            m, threads=threads,
        )  # fmt: skip
        got = m.get(places["zero"], np.uint8, (len(part),)).astype(int) - 128
        assert got.tolist() == zero.tolist(), "zero points"
        found = m.get(places["scale"], np.float32, (len(part),))
        assert np.array_equal(found, scale), "scales, to the bit"
        made = m.get(places["y"], np.uint8, part.shape).astype(int) - 128 - got[:, None]
        assert np.array_equal(made, codes), "codes, less their zero point"


@given(*[st.floats(width=32, allow_nan=False)] * 3)
def test_the_fused_product_is_rounded_once(a: float, b: float, c: float) -> None:
    values = [np.float32(v) for v in (a, b, c)]
    got, expected = fma(*values), reference_fma(*values)
    assert np.array_equal(got, expected, equal_nan=True), f"{values}"


def test_the_fused_product_beside_a_tie() -> None:
    """The sum is a hair off halfway, less than float64 shows, and the even neighbour is wrong."""
    e = 2.0**-12
    above = [np.float32(v) for v in (e * (1 + e), e * (1 - e + e * e), 1)]  # 1 + 2^-24 + 2^-60
    below = [np.float32(v) for v in (e * (1 + 2**-23), e * (1 - 2**-23), 1 + 2**-23)]
    for (a, b, c), expected in ((above, 1 + 2.0**-23), (below, 1 + 2.0**-23)):
        for sign in (np.float32(1), np.float32(-1)):
            assert fma(sign * a, b, sign * c) == sign * np.float32(expected), f"{sign * a} {b} {c}"
            assert reference_fma(sign * a, b, sign * c) == sign * np.float32(expected), "both"


def test_the_fused_product_at_its_ties() -> None:
    """Sums halfway between two float32, a trifle more and less, of both signs."""
    one, eps = np.float32(1), np.float32(2.0**-12)
    for sign in (one, -one):
        for c in (one, np.float32(2), np.float32(2.0**30), np.float32(2.0**-30)):
            for a in (one + eps, eps, np.nextafter(eps, one), np.nextafter(eps, -one)):
                for b in (eps, np.float32(2.0**-13), np.nextafter(eps, one), np.float32(2.0**18)):
                    got, expected = fma(sign * a, b, c), reference_fma(sign * a, b, c)
                    assert got == expected, f"{sign * a} * {b} + {c}"
