"""Weights as matrices, and the proof of their sums, against plain loops over the indices."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from refquant.numerics.packing import pack
from refquant_runtime.graph import SUBBYTE, Node, Quant, Value
from refquant_runtime.rules import BeyondError
from refquant_runtime.weights import (
    as_matrix,
    block_parameters,
    codes_of,
    column_scales,
    dequantized,
    grouped_axis,
    integer_weights,
    prove_accumulator,
    reach_of,
    unpack,
)

Array = NDArray[Any]


def node(op: str, **attributes: int) -> Node:
    return Node("n", op, ("x", "w"), ("y",), attributes, None)


def number(scale: float, zero: int) -> Quant:
    return Quant(np.array(scale, np.float32), np.array(zero, np.int32), None)


def blocks(scale: Array, zero: Array | int, block: tuple[int, ...]) -> Quant:
    return Quant(scale.astype(np.float32), np.array(zero, np.int32), block)


def constant(codes: Array, quant: Quant | None, dtype: str | None = None) -> Value:
    return Value("w", dtype or codes.dtype.name, codes.shape, False, quant, codes)


@given(st.sampled_from([*SUBBYTE]), st.integers(0, 9), st.integers(0, 999))
def test_packed_codes_are_unpacked(dtype: str, count: int, seed: int) -> None:
    bits, signed = int(dtype[-1]), dtype.startswith("int")
    low = -(1 << (bits - 1)) if signed else 0
    codes = np.random.default_rng(seed).integers(low, low + (1 << bits), (count, 3))
    stored = pack(codes.astype(np.int8 if signed else np.uint8), num_bits=bits)
    value = Value("w", dtype, codes.shape, False, None, stored)
    assert np.array_equal(unpack(value), codes), "one code an element, in its shape"


def test_weights_become_matrices_in_the_order_of_a_window() -> None:
    w = np.arange(2 * 3 * 2 * 2).reshape(2, 3, 2, 2)
    matrix = as_matrix(node("Conv"), w)
    for m, c, y, x in np.ndindex(w.shape):
        assert matrix[(y * 2 + x) * 3 + c, m] == w[m, c, y, x], "position first, then channel"
    square = np.arange(6).reshape(2, 3)
    assert np.array_equal(as_matrix(node("Gemm", transB=1), square), square.T), "turned"
    assert np.array_equal(as_matrix(node("MatMul"), square), square), "as it is"


@given(st.integers(1, 7), st.integers(1, 4), st.integers(1, 9), st.integers(1, 6))
def test_each_weight_has_the_parameters_of_its_block(k: int, n: int, a: int, b: int) -> None:
    rng = np.random.default_rng(k * n)
    grid = (-(-k // a), -(-n // b))
    scale, zero = rng.integers(1, 3, grid) / 4, rng.integers(-2, 3, grid)
    w = constant(rng.integers(-8, 8, (k, n)).astype(np.int8), blocks(scale, zero, (a, b)))
    block_of, scales, zeros = block_parameters(node("MatMul"), w)
    assert block_of.dtype == np.int32, "an index a row"
    for i, j in np.ndindex(k, n):
        assert scales[block_of[i], j] == scale[i // a, j // b], f"scale of {i}, {j}"
        assert zeros[block_of[i], j] == zero[i // a, j // b], f"zero point of {i}, {j}"
    assert len(np.unique(np.hstack([scales, zeros]), axis=0)) == len(scales), "rows stand once"


def test_a_block_larger_than_its_axis_by_any_amount_costs_nothing() -> None:
    w = constant(np.ones((2, 3), np.int8), blocks(np.full((1, 1), 0.5), 0, (2**40, 2**40)))
    block_of, scales, _ = block_parameters(node("MatMul"), w)
    assert block_of.tolist() == [0, 0], "one row"
    assert scales.tolist() == [[0.5] * 3], "of one scale"
    assert integer_weights(node("MatMul"), w)[0].tolist() == [[1] * 3] * 2, "also for integers"


def test_integer_weights_lose_their_zero_points() -> None:
    codes = np.array([[[1], [2]], [[3], [4]], [[5], [6]]], np.uint8)
    scale, zero = np.array([1, 2, 4]).reshape(3, 1, 1), np.array([9, 8, 7]).reshape(3, 1, 1)
    w = constant(codes, blocks(scale, zero, (1, 2, 1)))
    matrix, scales = integer_weights(node("Conv"), w)
    assert matrix.tolist() == [[-8, -5, -2], [-7, -4, -1]], "code - zero point"
    assert scales.tolist() == [1, 2, 4], "one a column"
    plain = constant(np.array([[1, 2]], np.int8), None)
    given_zero = Value("z", "int8", (2,), False, None, np.array([3, -3], np.int8))
    matrix, scales = integer_weights(node("MatMulInteger"), plain, given_zero)
    assert (matrix.tolist(), scales.tolist()) == ([[-2, 5]], [1, 1]), "the zero point is an input"
    assert column_scales(node("MatMul"), constant(codes[0], number(0.5, 0))).tolist() == [0.5], (
        "one"
    )


@pytest.mark.parametrize(
    ("op", "scale", "zero"),
    [
        (node("MatMul"), np.ones((2, 1)), 0),
        (node("MatMul"), np.ones((2, 3)), 0),
        (node("MatMul"), np.ones((1, 3)), np.zeros((2, 1))),
        (node("Gemm", transB=1), np.ones((1, 3)), 0),
    ],
)
def test_integer_weights_have_one_scale_a_channel_and_nothing_finer(
    op: Node, scale: Array, zero: Array | int
) -> None:
    block = tuple(-(-size // n) for size, n in zip((2, 3), scale.shape, strict=True))
    w = constant(np.ones((2, 3), np.int8), blocks(scale, zero, block))
    with pytest.raises(ValueError, match="or one for each output channel, shape"):
        integer_weights(op, w)


@given(st.integers(0, 255), st.integers(-(2**31), 2**31 - 1), st.integers(1, 70_000))
def test_the_proof_is_the_worst_case_exactly(reach: int, bias: int, k: int) -> None:
    matrix = np.full((k, 2), -128, np.int32)
    matrix[:, 0] = 0
    fits = reach * 128 * k + abs(bias) <= 2**31 - 1
    given_bias = np.array([0, bias], np.int32)
    if fits:
        prove_accumulator(matrix, given_bias, reach)
    else:
        with pytest.raises(ValueError, match="accumulator of output channel 1 may reach"):
            prove_accumulator(matrix, given_bias, reach)


def test_codes_are_eight_bits_with_one_scale() -> None:
    def of(dtype: str, quant: Quant | None) -> Value:
        return Value("x", dtype, (2,), False, quant, None)

    assert codes_of(of("int8", number(0.5, 3))).scale == np.float32(0.5), "its parameters"
    assert reach_of(of("int8", number(0.5, 3))) == 131, "from 3 down to -128"
    assert reach_of(of("uint8", number(0.5, 3))) == 252, "from 3 up to 255"
    for value in (of("int8", None), of("int32", number(0.5, 0)), of("float32", None)):
        with pytest.raises(ValueError, match="'x' must be codes with quant"):
            codes_of(value)
    with pytest.raises(ValueError, match="one scale, got blocks"):
        codes_of(of("int8", blocks(np.ones(1), 0, (2,))))
    with pytest.raises(BeyondError, match="of int16"):
        codes_of(of("int16", number(0.5, 0)))


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 4), st.integers(0, 999))
def test_every_element_finds_its_parameters(k: int, n: int, size: int, seed: int) -> None:
    """Tables and float zero points, neighbours and lists of groups, against loops."""
    rng = np.random.default_rng(seed)
    groups = -(-k // size)
    scale = rng.uniform(0.1, 1, (groups, n)).astype(np.float32)
    zero = rng.choice([0.25, -3.5, 1 / 3], (groups, n)).astype(np.float32)
    table = rng.standard_normal(256).astype(np.float32)
    codes = rng.integers(0, 256, (k, n)).astype(np.uint8)
    listed = rng.permutation(np.arange(k) // size).astype(np.int32).reshape(k, 1)
    for g_idx in (None, listed):
        ruler = Quant(scale, zero, (size, 1), None, g_idx)
        by_table = Quant(scale, np.array(0, np.int32), (size, 1), table, g_idx)
        for quant in (ruler, by_table):
            w = dequantized(constant(codes, quant))
            block_of, scales, zeros = block_parameters(node("MatMul"), constant(codes, quant))
            for i, j in np.ndindex(codes.shape):
                at = i // size if g_idx is None else int(g_idx[i, 0])
                code = codes[i, j]
                mark = table[code] if quant.table is not None else np.float32(code) - zero[at, j]
                assert w[i, j] == mark * scale[at, j], f"{i} {j}"
                assert scales[block_of[i], j] == scale[at, j], "the kernel's scale"
                assert quant is by_table or zeros[block_of[i], j] == zero[at, j], "its zero point"


def test_a_list_of_one_index_is_about_an_axis_of_one() -> None:
    one = np.zeros((1, 1), np.int32)
    assert grouped_axis(one, (4, 1)) == 1, "the first that is 1 long in both"
    assert grouped_axis(one, (1, 1)) == 0, "either"
    assert grouped_axis(np.zeros((1, 4), np.int32), (4, 4)) == 1, "the one that is not 1 long"


def test_a_table_is_no_ruler() -> None:
    quant = Quant(np.array(1, "f"), np.array(0, np.int32), None, np.arange(256, dtype=np.float32))
    with pytest.raises(ValueError, match="has a table"):
        codes_of(constant(np.zeros(3, np.uint8), quant))
