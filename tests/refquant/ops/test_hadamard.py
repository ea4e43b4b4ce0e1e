"""The rotation while the model runs: the bits of the text, exact on integers, blocks stay apart."""

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.rq import parse_rq, rq_bytes, write_rq
from refquant.ops.hadamard import hadamard
from refquant_runtime.errors import UnsupportedError
from refquant_runtime.read_graph import read_graph
from tests.refquant.ops.single import f, rough

RNG = np.random.default_rng(0)
PALEY_ONE, PALEY_TWO = (12, 20, 60, 108, 140), (28, 36)
ROWS = {
    52: "+-+--++ +---+++ ++-+--+ +----+-",
    156: "+++--+-+-----+--++-- ++++---+--++----+-+- +++--++-+---+-+--+-- +---++-+-+-----+++-+",
    172: "+---++--++++-+-+++-++- ++-++++++----+-+--++-+ +++-+-++--+-+-++++-+-- "
    "++---++++-+--+--++----",
}
Matrix = list[list[int]]


def chi(d: int, q: int) -> int:
    return 0 if d % q == 0 else 1 if any(i * i % q == d % q for i in range(1, q)) else -1


def kron(a: Matrix, b: Matrix) -> Matrix:
    return [[p * q for p in row for q in other] for row in a for other in b]


def plus(a: Matrix, b: Matrix) -> Matrix:
    return [[p + q for p, q in zip(x, y, strict=True)] for x, y in zip(a, b, strict=True)]


def times(sign: int, a: Matrix) -> Matrix:
    return [[sign * p for p in row] for row in a]


def identity(n: int) -> Matrix:
    return [[int(i == j) for j in range(n)] for i in range(n)]


def base(k: int) -> Matrix:
    """H_K as docs/spec/operators.md, section 9, says it."""
    if k in PALEY_ONE:
        q = k - 1
        rest = plus(identity(q), [[chi(i - j, q) for j in range(q)] for i in range(q)])
        return [[1] + [-1] * q, *([1, *row] for row in rest)]
    if k in PALEY_TWO:
        q = k // 2 - 1
        rows = [[chi(i - j, q) for j in range(q)] for i in range(q)]
        s = [[0] + [1] * q, *([1, *row] for row in rows)]
        first = kron([[1, 1], [1, -1]], s)
        return plus(first, kron([[1, -1], [-1, -1]], identity(q + 1)))
    if k == 40:
        return kron([[1, 1], [1, -1]], base(20))
    if k == 1:
        return [[1]]
    t = k // 4
    halves = [[1 if c == "+" else -1 for c in row] for row in ROWS[k].split()]
    full = [half + half[:0:-1] for half in halves]
    a, b, c, d = ([[row[(j - i) % t] for j in range(t)] for i in range(t)] for row in full)
    blocks = [
        [a, b, c, d],
        [times(-1, b), a, times(-1, d), c],
        [times(-1, c), d, a, times(-1, b)],
        [times(-1, d), times(-1, c), b, a],
    ]
    return [[v for part in line for v in part[i]] for line in blocks for i in range(t)]


def order(b: int) -> tuple[int, int]:
    for k in sorted((1, *PALEY_ONE, *PALEY_TWO, 40, *ROWS), reverse=True):
        if b % k == 0 and (b // k) & (b // k - 1) == 0:
            return k, b // k
    raise AssertionError(f"no matrix of order {b}")


def by_the_text(x: list[float], signs: list[float], size: int, inverse: int) -> list[float]:
    """One vector, in Python's floats."""
    result: list[float] = []
    k, run_length = order(size)
    matrix = base(k)
    for start in range(0, len(x), size):
        s = signs[start : start + size]
        v = [p if inverse else q * p for p, q in zip(x[start : start + size], s, strict=True)]
        h = 1
        while h < run_length:
            for i in range(size):
                if not i % run_length & h:
                    v[i], v[i + h] = v[i] + v[i + h], v[i] - v[i + h]
            h *= 2
        runs = [v[i * run_length : (i + 1) * run_length] for i in range(k)]
        w = []
        for j in range(k):
            row = [matrix[i][j] if inverse else matrix[j][i] for i in range(k)]
            for i in range(run_length):
                total = row[0] * runs[0][i]
                for other in range(1, k):
                    total = total + row[other] * runs[other][i]
                w.append(total)
        y = [f(p / math.sqrt(size)) for p in w]
        result += [q * p for p, q in zip(y, s, strict=True)] if inverse else y
    return result


def f32(values: Any) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def signs_of(n: int) -> NDArray[np.float32]:
    return np.where(np.random.default_rng(n).integers(0, 2, n) == 0, 1, -1).astype(np.float32)


@pytest.mark.parametrize("inverse", [0, 1])
@pytest.mark.parametrize("size", [1, 2, 8, 12, 24, 28, 40, 52, 60, 72, 108, 140, 156, 172])
def test_the_bits_are_those_of_the_text(size: int, inverse: int) -> None:
    x, signs = rough(RNG, 3, 2 * size), signs_of(2 * size)
    y = hadamard(x, signs, block_size=size, inverse=inverse)
    expected = [by_the_text(row, signs.tolist(), size, inverse) for row in x.tolist()]
    assert y.tolist() == expected, f"order {size}, inverse {inverse}"


@pytest.mark.parametrize("size", [4, 16, 64])
def test_integers_are_turned_exactly(size: int) -> None:
    """Order 4^m: the root is a power of two, the sums are integers below 2^24."""
    k, _ = order(size)
    assert k == 1, "a power of two"
    matrix = [[1]]
    while len(matrix) < size:
        matrix = kron([[1, 1], [1, -1]], matrix)
    x = RNG.integers(-999, 1000, (4, size))
    signs = signs_of(size).astype(int).tolist()
    y = hadamard(x.astype(np.float32), f32(signs))
    for row, got in zip(x.tolist(), y.tolist(), strict=True):
        turned = [q * p for p, q in zip(row, signs, strict=True)]
        exact = [
            Fraction(sum(p * q for p, q in zip(line, turned, strict=True)), math.isqrt(size))
            for line in matrix
        ]
        assert [Fraction(v) for v in got] == exact, "the reals, not near them"
    back = hadamard(y, f32(signs), inverse=1)
    assert back.tolist() == x.tolist(), "and the way back"


@pytest.mark.parametrize("size", [12, 36, 48, 172, 1536])
def test_a_result_is_next_to_the_exact_one(size: int) -> None:
    """Half an ulp, and gamma_{m + K + 1} of float64 times sum |x| / sqrt(b), far below it."""
    x = rough(RNG, 2, size)
    k, rest = order(size)
    steps = rest.bit_length() + k + 1
    matrix = base(k)
    power = [[1]]
    while len(power) < rest:
        power = kron([[1, 1], [1, -1]], power)
    y = hadamard(x)
    # 20 digits of the root: its error is far below the float64 terms of the bound.
    root = Fraction(math.isqrt(size * 10**40), 10**20)
    for row, got in zip(x.tolist(), y.tolist(), strict=True):
        exact_row = [Fraction(v) for v in row]
        size_of = float(sum(map(abs, exact_row)) / root)
        for i in range(0, size, max(1, size // 16)):
            line = [p * q for p in matrix[i // rest] for q in power[i % rest]]
            exact = sum((p * q for p, q in zip(line, exact_row, strict=True)), Fraction()) / root
            bound = 2.0**-24 * abs(float(exact)) + 2.0**-149 + steps * 2.0**-52 * size_of
            assert abs(float(Fraction(got[i]) - exact)) <= bound, f"{size}: element {i}"


def test_any_axis_and_no_samples() -> None:
    x = rough(RNG, 2, 8, 3)
    signs = signs_of(8)
    expected = np.moveaxis(hadamard(np.moveaxis(x, 1, -1), signs), -1, 1)
    for axis in (1, -2):
        y = hadamard(x, signs, axis=axis)
        assert np.array_equal(y, expected), "the axis is turned, the others are batches"
        assert y.flags.c_contiguous, "as every operator's result"
    assert hadamard(np.zeros((0, 8), np.float32)).shape == (0, 8), "no samples, no result"


def test_nan_and_infinity_stay_in_their_block() -> None:
    x = np.ones((1, 12), np.float32)
    x[0, 1], x[0, 6:8] = np.nan, np.inf
    y = hadamard(x, block_size=4)[0]
    assert np.isnan(y[:4]).all(), "NaN is in every sum of its block"
    assert not np.isfinite(y[4:8]).any(), "inf + inf, inf - inf"
    assert y[8:].tolist() == [2, 0, 0, 0], "another block"


def test_zeros_and_ends_of_the_range() -> None:
    zeros = f32([0.0, -0.0, -0.0, -0.0])
    plain = hadamard(zeros)
    # -0 + -0 is -0; any other sum of zeros is +0: 0 + -0, 0 - -0, -0 - -0, ...
    assert np.signbit(plain).tolist() == [False, False, False, False], "IEEE 754's signs"
    assert np.signbit(hadamard(-np.zeros(4, np.float32))).tolist() == [True, False, False, False], (
        "all -0"
    )
    top = np.finfo(np.float32).max
    assert hadamard(np.full(4, top, np.float32)).tolist() == [np.inf, 0, 0, 0], "2 max is infinite"
    least = np.float32(2.0**-149)
    assert hadamard(f32([least] * 4)).tolist() == [2 * float(least), 0, 0, 0], "subnormal"
    assert hadamard(f32([least, 0, 0, 0])).tolist() == [0] * 4, "half of the least: to even"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block_size": 5}, "block_size must divide the 12 elements of axis -1, got 5"),
        ({"block_size": -4}, "block_size must divide the 12 elements"),
        ({"block_size": 3}, r"block_size: n must be K * 2**m with K 1 or one of"),
        ({"axis": 2}, r"axis must be in [-2, 1], got 2"),
        ({"axis": 0}, "block_size must divide the 0 elements"),
        ({"inverse": 2}, "inverse must be 0 or 1, got 2"),
        ({"x": np.zeros((2, 12))}, "x must be float32, got float64"),
        ({"signs": np.ones(4, np.float32)}, r"signs must be +1 and -1, of shape (12,), got (4,)"),
        ({"signs": np.zeros(12, np.float32)}, "signs must be +1 and -1"),
        ({"signs": np.full(12, np.nan, np.float32)}, "signs must be +1 and -1"),
        ({"signs": np.ones(12, np.int8)}, "signs must be float32, got int8"),
    ],
)
def test_what_has_no_meaning_is_refused(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"x": np.zeros((0, 12), np.float32), **changes}
    with pytest.raises(ValueError, match=re.escape(message)):
        hadamard(**given)


def rotated(signs: NDArray[np.float32] | None, shape: Any = ("N", "T", 12), **options: Any) -> Any:
    b = Builder("g")
    inputs = [b.input("x", shape)]
    if signs is not None:
        inputs.append(b.constant("signs", signs))
    return b.graph([b.node("Hadamard", inputs, name="y", attributes=options)])


def test_a_graph_computes_the_operator_and_its_file_says_version_2() -> None:
    x, signs = rough(RNG, 2, 5, 12), signs_of(12)
    g = rotated(signs, block_size=4, inverse=1)
    y = run(g, {"x": x})["y"]
    assert np.array_equal(y, hadamard(x, signs, block_size=4, inverse=1)), "every attribute counts"
    data = rq_bytes(g)
    assert b'"format":"refquant/2"' in data[:60], "a file with it is of the second version"
    assert parse_rq(data, name="f") == g, "and comes back"
    planes = rotated(None, ("N", 4, 3), axis=1)
    z = rough(RNG, 2, 4, 3)
    assert np.array_equal(run(planes, {"x": z})["y"], hadamard(z, axis=1)), "channels first"


def test_the_runtime_refuses_it_by_name(tmp_path: Path) -> None:
    write_rq(tmp_path / "h.rq", rotated(None, ("N", 12)))
    with pytest.raises(UnsupportedError, match=r"node 0 \('Hadamard'\): the operator is not"):
        read_graph(tmp_path / "h.rq")


@pytest.mark.parametrize(
    ("signs", "shape", "options", "message"),
    [
        (None, ("N", 44), {}, "K 1 or one of"),
        (None, ("N", 12), {"block_size": 8}, "block_size divides the 12 elements of the axis"),
        (None, ("N", 12), {"axis": 0}, "runs along the batch N"),
        (None, ("N", "T", 12), {"axis": 1}, "T is one in a run only"),
        (np.ones(4, np.float32), ("N", 12), {}, r"signs has shape \[12\], got \[4\]"),
        (np.zeros(12, np.float32), ("N", 12), {}, r"the signs 'signs' are a constant of \+1"),
        (None, ("N", 12), {"inverse": 2}, r"inverse is one of \[0, 1\], got 2"),
    ],
)
def test_a_graph_that_means_nothing_is_refused(
    signs: Any, shape: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        rotated(signs, shape, **options)


def test_computed_signs_are_refused() -> None:
    b = Builder("g")
    x, s = b.input("x", (4,)), b.input("s", (4,))
    b.node("Hadamard", [x, s], name="y")
    with pytest.raises(ValueError, match="the signs 's' are a constant"):
        b.graph(["y"])
