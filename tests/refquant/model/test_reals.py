"""The law of codes against scalar Python, and against the formats' own dequantize, bit for bit."""

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.weight import QuantizedWeight
from refquant.formats import float_zero_point, fp8, mx, nf4, nvfp4
from refquant.model.graph import Graph, Quant, Value
from refquant.model.reals import grouped_axis, reals, scale_of, zero_point_of
from refquant.model.table_formats import table_values

Array = NDArray[Any]
RNG = np.random.default_rng(9)
W = (RNG.standard_normal((6, 64)) * np.exp2(RNG.integers(-9, 9, (6, 1)))).astype(np.float32)
W[1, :32] = 0.0  # a block of nothing
W[2, 3] = 1e4  # one outlier


def graph(dtype: str, codes: Array, quant: Quant, **others: tuple[Array, Quant | None]) -> Graph:
    """A graph of the constant ``w``, and of others with what they mean."""
    values = {"w": Value(dtype, codes.shape, quant)}
    values |= {name: Value(a.dtype.name, a.shape, meaning) for name, (a, meaning) in others.items()}
    constants = {"w": codes} | {name: a for name, (a, _) in others.items()}
    return Graph("g", (), (), values, (), constants, {}, {})


def decoded(dtype: str, codes: Array, quant: Quant, **others: tuple[Array, Quant | None]) -> Array:
    return reals(graph(dtype, codes, quant, **others), "w", codes)


def single(x: float) -> float:
    """Round a float64 to float32: one rounding of a product, which float64 holds exactly."""
    return float(struct.unpack("f", struct.pack("f", x))[0])


def test_nf4_is_the_format_s_own() -> None:
    q = nf4.quantize(W, block_size=64, flavour="bnb_torch")
    table = (nf4.NF4.copy(), None)
    quant = Quant("s", 0, (1, 64), table="t")
    ours = decoded("uint4", q.codes, quant, s=(q.absmax.reshape(6, 1), None), t=table)
    assert ours.tobytes() == nf4.dequantize(q).tobytes(), "the same product"


@pytest.mark.parametrize("block", [(1, 64), (6, 64), (2, 16)])
def test_fp8_is_the_format_s_own(block: tuple[int, int]) -> None:
    q = fp8.quantize(W, format="e4m3fn", block_shape=block)
    table = (table_values("e4m3fn", bits=8), None)
    ours = decoded("uint8", q.codes, Quant("s", 0, block, table="t"), s=(q.scale, None), t=table)
    assert ours.tobytes() == fp8.dequantize(q).tobytes(), "the same product"


@pytest.mark.parametrize(("name", "element", "bits"), [
    ("mxfp4", "e2m1", 4), ("mxfp6_e3m2", "e3m2", 6), ("mxfp6_e2m3", "e2m3", 6),
    ("mxfp8_e4m3", "e4m3fn", 8), ("mxfp8_e5m2", "e5m2", 8),
])  # fmt: skip
def test_mx_is_the_format_s_own(name: str, element: str, bits: int) -> None:
    for producer in ("ocp", "qwix"):
        q = mx.quantize_like(W, format=name, producer=producer)
        inner = Quant(1.0, 0, None, table="e8m0")
        tables = {"e8m0": (table_values("e8m0", bits=8), None),
                  "t": (table_values(element, bits=bits), None)}  # fmt: skip
        quant = Quant("s", 0, (1, 32), table="t")
        ours = decoded(f"uint{bits}", np.asarray(q.codes), quant, s=(q.scales, inner), **tables)
        assert ours.tobytes() == mx.dequantize(q).tobytes(), f"{producer}: one rounding"


@pytest.mark.parametrize("producer", ["modelopt", "torchao"])
def test_nvfp4_is_the_format_s_own(producer: str) -> None:
    q = nvfp4.quantize(W, producer=producer)
    assert q.tensor_scale is not None, "both have one"
    inner = Quant(float(q.tensor_scale), 0, None, table="ue4m3")
    tables = {"ue4m3": (table_values("ue4m3", bits=8), None),
              "t": (table_values("e2m1", bits=4), None)}  # fmt: skip
    quant = Quant("s", 0, (1, 16), table="t")
    ours = decoded("uint4", np.asarray(q.codes), quant, s=(q.scales, inner), **tables)
    assert ours.tobytes() == nvfp4.dequantize(q).tobytes(), "scale times tensor scale first"


def test_the_order_of_nvfp4_s_products_is_seen() -> None:
    """(d s) g is another number than d (s g) for some d: the law says which."""
    g = np.float32(0.1)
    ours = decoded(
        "uint4", np.array([[5]], np.uint8), Quant("s", 0, (1, 16), table="t"),
        s=(np.array([[59]], np.uint8), Quant(float(g), 0, None, table="ue4m3")),
        ue4m3=(table_values("ue4m3", bits=8), None), t=(table_values("e2m1", bits=4), None),
    )  # fmt: skip
    d, s = 3.0, 1.375
    assert float(ours[0, 0]) == single(d * single(s * float(g))), "block scale times tensor scale"
    assert float(ours[0, 0]) != single(single(d * s) * float(g)), "a witness: the orders differ"


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_float_zero_points_are_hqq_s(bits: int) -> None:
    q = float_zero_point.quantize(W, num_bits=bits, group_size=64, axis=1, round_zero=False)
    quant = Quant("s", "z", (1, 64))
    ours = decoded(f"uint{bits}", q.codes, quant, s=(q.scale, None), z=(q.zero_point, None))
    assert ours.tobytes() == float_zero_point.dequantize(q).tobytes(), "difference, then product"


def test_g_idx_is_what_act_order_leaves_behind() -> None:
    g_idx = RNG.permutation(np.arange(64) // 16).astype(np.int32)
    codes = RNG.integers(0, 8, (6, 64)).astype(np.uint8)
    scale = RNG.uniform(0.1, 1, (6, 4)).astype(np.float32)
    zero = RNG.integers(0, 8, (6, 4)).astype(np.int32)
    theirs = QuantizedWeight(codes, scale, zero, g_idx, num_bits=3, signed=False).dequantize()
    quant = Quant("s", "z", (1, 16), g_idx="g")
    parts = {"s": (scale, None), "z": (zero, None), "g": (g_idx.reshape(1, 64), None)}
    assert decoded("uint3", codes, quant, **parts).tobytes() == theirs.tobytes(), "rows"
    turned = {"s": (scale.T, None), "z": (zero.T, None), "g": (g_idx.reshape(64, 1), None)}
    quant = Quant("s", "z", (16, 1), g_idx="g")
    ours = decoded("uint3", np.ascontiguousarray(codes.T), quant, **turned)
    assert np.array_equal(ours, theirs.T), "the groups of a column"


def test_scalar_python_says_the_same() -> None:
    """Every code with scales at the edges of float32; overflow is infinite, underflow is zero."""
    codes = np.arange(16, dtype=np.uint8).reshape(1, 16)
    table = RNG.standard_normal(16).astype(np.float32)
    for scale in (0.0, 1e-45, 2.0**-127, 0.1, 3e38):
        s = np.full((1, 1), scale, np.float32)
        ours = decoded("uint4", codes, Quant("s", 0, (1, 16), table="t"), s=(s, None),
                       t=(table, None))  # fmt: skip
        for q, mark in enumerate(table.tolist()):
            exact = mark * float(s[0, 0])
            expected = single(exact) if abs(exact) < 2.0**128 else exact * float("inf")
            assert float(ours[0, q]) == expected, f"{mark} * {scale}"
    z = np.array([[7.25]], np.float32)
    ours = decoded("uint4", codes, Quant(0.5, "z", (1, 16)), z=(z, None))
    assert ours.tolist() == [[(q - 7.25) * 0.5 for q in range(16)]], "exact in float32"


def test_scales_of_codes_on_rulers_are_those_of_k_quants() -> None:
    scale = np.array([[63, 1]], np.uint8)
    ours = graph("uint4", np.array([[15, 2]], np.uint8), Quant("s", 8, (1, 1)),
                 s=(scale, Quant(0.25, 0)))  # fmt: skip
    assert scale_of(ours, "w").tolist() == [[15.75, 0.25]], "code times scale"
    assert reals(ours, "w", ours.constants["w"]).tolist() == [[110.25, -1.5]], "as any scales"
    assert int(zero_point_of(ours, "w")) == 8, "a number"


@pytest.mark.parametrize(("listed", "shape", "axis"), [
    ((1, 64), (6, 64), 1), ((64, 1), (64, 6), 0), ((1, 1), (6, 1), 1), ((1, 1), (1, 1), 0),
    ((1, 0), (3, 0), 1), ((1, 1), (2, 2), 0),
])  # fmt: skip
def test_a_list_of_groups_is_about_one_axis(
    listed: tuple[int, ...], shape: tuple[int, ...], axis: int
) -> None:
    assert grouped_axis(listed, shape) == axis, f"{listed} of {shape}"
