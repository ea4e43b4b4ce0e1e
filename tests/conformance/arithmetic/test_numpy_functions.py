"""NumPy's exponential and tangent: the oracle's bits, NumPy's bits, and the ends."""

from collections.abc import Callable

import numpy as np
import pytest
from onnx.reference.ops.op_sigmoid import sigmoid

from refquant_conformance.arithmetic.numpy_functions import (
    exp_of_quotient,
    piece_of,
    sigmoid_of_quotient,
    tanh_of_pieces,
)
from refquant_conformance.oracle_numpy import sigmoid_of_quotient_exact, tanh_of_pieces_exact
from tests.conformance.arithmetic.processors import FUSED

ENDS = [
    *(0.0, 1e-45, 1.1754944e-38, 16.0, 15.999999, 9.0, 88.72283, 88.722839, 88.722846, 103.97208),
    *(103.972084, 103.97209, 87.33654, 87.33655, 1e30, float("inf")),
]


def numbers(n: int) -> np.ndarray:
    """Return numbers of every exponent, those around each piece's ends, and the ends."""
    bits = np.random.default_rng(3).integers(0, 0x7F800000, n, dtype=np.uint32)
    pieces = np.arange(0x3D400000, 0x41400000, 1 << 21, dtype=np.uint32)
    every = np.concatenate([bits, pieces - 1, pieces, pieces + 1]).view(np.float32)
    small = np.random.default_rng(4).uniform(0, 104, n).astype(np.float32)
    sizes = np.concatenate([every, small, np.array(ENDS, np.float32)])
    return np.concatenate([sizes, -sizes])


def same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(a.astype(np.float32).view(np.uint32) == b.astype(np.float32).view(np.uint32))


@pytest.mark.parametrize(
    ("made", "exact"),
    [
        (sigmoid_of_quotient, sigmoid_of_quotient_exact),
        (tanh_of_pieces, tanh_of_pieces_exact),
    ],
)
def test_the_oracle_counts_the_same(
    made: Callable[[np.ndarray], np.ndarray], exact: Callable[[float], float]
) -> None:
    x = numbers(400)
    again = np.array([exact(value) for value in x.tolist()], np.float32)
    assert same(made(x), again).all(), f"{x[~same(made(x), again)][:3].tolist()}"


@pytest.mark.skipif(not FUSED, reason="NumPy asks the C library where the processor has no FMA")
@pytest.mark.parametrize(
    ("made", "asked"),
    [(exp_of_quotient, np.exp), (sigmoid_of_quotient, sigmoid), (tanh_of_pieces, np.tanh)],
)
def test_numpy_computes_it(
    made: Callable[[np.ndarray], np.ndarray], asked: Callable[[np.ndarray], np.ndarray]
) -> None:
    x = numbers(200_000)
    with np.errstate(all="ignore"):
        wrong = ~same(made(x), asked(x))
    assert not wrong.any(), f"{wrong.sum()} of {x.size}, as {x[wrong][:3].tolist()}"


def test_a_binade_has_four_pieces() -> None:
    ends = [0.05, 0.0546875, 0.0625, 0.078125, 0.09375, 9.99, 10.0, 12.0, float("inf")]
    assert piece_of(np.array(ends, np.float32)).tolist() == [0, 1, 2, 3, 4, 30, 31, 31, 31], "k"


def test_an_exponential_ends_where_float32_does() -> None:
    x = np.array([-103.97208404541015625, -103.97207, 88.72283, 88.72283935546875], np.float32)
    below, least, most, above = exp_of_quotient(x).tolist()
    assert (below, least) == (0.0, 2.0**-149), "the smallest number, and what is below"
    assert most < above == float("inf"), "the largest, and what is above"
