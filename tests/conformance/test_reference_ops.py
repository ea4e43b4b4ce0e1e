"""The exact oracle judges ``refquant.ops``: sums of codes, and integer products."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.contracts import preset
from refquant.formats.affine import QParams
from refquant.ops.accumulate import matmul_accumulate
from refquant.ops.elementwise import add_quantized
from refquant_conformance import oracle, strategies

CODES = np.arange(-128, 128, dtype=np.int8)
# Ratios that an Add meets; the shift of xnnpack_shift20 stays within what a loader admits.
scales = strategies.scales(low=2.0**-6, high=2.0**-1)
zero_points = st.integers(-128, 127)


def qparams(scale: float, zero_point: int) -> QParams:
    return QParams(np.float32(scale), np.int32(zero_point), None, "int8")


@pytest.mark.parametrize("add", ["dequantize", "tflite_shift20", "xnnpack_shift20"])
@given(
    s=st.tuples(scales, scales, scales),
    z=st.tuples(zero_points, zero_points, zero_points),
    qb=st.lists(zero_points, min_size=1, max_size=4),
)
def test_add_is_the_oracles(
    add: str, s: tuple[float, float, float], z: tuple[int, int, int], qb: list[int]
) -> None:
    contract = replace(preset("onnx"), name="any", add=add)
    a, b = np.repeat(CODES[::17], len(qb)), np.tile(np.array(qb, np.int8), len(CODES[::17]))
    got = add_quantized(
        a,
        b,
        a_qparams=qparams(s[0], z[0]),
        b_qparams=qparams(s[1], z[1]),
        y_qparams=qparams(s[2], z[2]),
        contract=contract,
    ).tolist()
    expected = [
        oracle.add_exact(
            i, j, scales=s, zero_points=z, qmin=-128, qmax=127, axes=contract.to_json()
        )
        for i, j in zip(a.tolist(), b.tolist(), strict=True)
    ]
    assert got == expected, f"{add}: scales {s}, zero points {z}"


@given(data=st.data(), k=strategies.lengths(longest=33).filter(bool))
def test_products_of_codes_are_exact(data: st.DataObject, k: int) -> None:
    x = data.draw(strategies.codes((2, k), qmin=0, qmax=255, dtype="uint8"), label="x")
    w = data.draw(strategies.codes((k, 3), qmin=-128, qmax=127, dtype="int8"), label="w")
    zx = data.draw(st.sampled_from([0, 128, 255]), label="zx")
    zw = data.draw(st.lists(zero_points, min_size=3, max_size=3), label="zw")
    got = matmul_accumulate(x, w, x_zero_point=zx, w_zero_point=np.array(zw, np.int32)).tolist()
    expected = oracle.matmul_exact(x.tolist(), w.tolist(), x_zero_point=zx, w_zero_points=zw)
    assert got == expected, f"x {x.tolist()}, w {w.tolist()}, zx {zx}, zw {zw}"
