"""HQQ: its rounds beside scalar Python, its laws, what it gains, and what it refuses."""

import struct
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.hqq import AUTHORS, Settings, hqq, optimize, quantize_groups, shrink
from refquant.formats.float_zero_point import choose_qparams, dequantize, encode, quantize

F32 = NDArray[np.float32]
BEST = replace(AUTHORS, keep="best")


def _heavy(seed: int, shape: tuple[int, int]) -> F32:
    return (np.random.default_rng(seed).standard_t(2.5, size=shape) / 20).astype(np.float32)


def _f32(value: float) -> float:
    """Return a Python float rounded to float32: one operation in float64 first changes nothing."""
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded


def _mean_f32(values: list[float]) -> float:
    return _f32(float(sum(map(Fraction, values), Fraction(0)) / len(values)))


def _power(size: float, p: float) -> float:
    with localcontext() as context:
        context.prec = 50
        return float(Decimal(size) ** Decimal(p - 1)) if size else float("inf")


def _by_hand(
    rows: list[list[float]], inv: list[float], z: list[float], bits: int, s: Settings
) -> list[float]:
    """Return the zero points after all rounds, one number at a time: eq. (2) to (4)."""
    least, best, beta = float("inf"), z, s.beta
    for _ in range(s.iters):
        errors, moved = [], []
        for row, i, zero in zip(rows, inv, z, strict=True):
            rest = []
            for w in row:
                q = float(min(max(round(_f32(_f32(w * i) + zero)), 0), 2**bits - 1))
                d = _f32(w - _f32(_f32(q - zero) / i))
                errors.append(abs(d))
                power = _power(abs(d), s.p)
                power = _f32(power) if power < 3e38 else float("inf")
                paid = _f32(_f32(1 / beta) * power) if power < 3e38 else float("inf")
                e = max(_f32(abs(d) - paid) if paid < 3e38 else 0.0, 0.0) * (1 if d > 0 else -1)
                rest.append(_f32(q - _f32(_f32(w - e) * i)))
            moved.append(_mean_f32(rest))
        mean = _mean_f32(errors)
        if mean >= least:
            return best if s.keep == "best" else moved
        least, best, z, beta = mean, z, moved, beta * s.kappa
    return best if s.keep == "best" else z


@pytest.mark.parametrize("keep", ["last", "best"])
@pytest.mark.parametrize(("bits", "p"), [(1, 0.7), (2, 0.7), (3, 0.5), (4, 0.7), (4, 1.0)])
def test_every_round_is_that_of_scalar_python(bits: int, p: float, keep: str) -> None:
    settings = replace(AUTHORS, p=p, keep=keep)
    for seed in range(4):
        groups = _heavy(seed, (3, 16))
        groups[1, :5] = 0
        inverse, zero = choose_qparams(groups, num_bits=bits, axis=1, round_zero=False)
        got = optimize(groups, inverse, zero, num_bits=bits, axis=1, settings=settings)
        inv, z = (a[:, 0].astype(float).tolist() for a in (inverse, zero))
        wanted = _by_hand(groups.astype(float).tolist(), inv, z, bits, settings)
        assert got[:, 0].tolist() == wanted, f"{bits} bits, seed {seed}"


def test_equal_errors_are_no_progress() -> None:
    """A median of an even group is a whole range: the mean error stays while z moves on."""
    for seed in range(60):
        groups = np.random.default_rng(seed).integers(-4, 5, size=(1, 4)).astype(np.float32)
        for bits, keep in ((1, "last"), (1, "best"), (2, "last"), (2, "best")):
            settings = replace(AUTHORS, keep=keep)
            inverse, zero = choose_qparams(groups, num_bits=bits, axis=1, round_zero=False)
            got = optimize(groups, inverse, zero, num_bits=bits, axis=1, settings=settings)
            inv, z = (a[:, 0].astype(float).tolist() for a in (inverse, zero))
            wanted = _by_hand(groups.astype(float).tolist(), inv, z, bits, settings)
            assert got[:, 0].tolist() == wanted, f"{groups}, {bits} bits, {keep}"


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_heavy_tails_make_hqq_better_than_rounding(bits: int) -> None:
    for seed in range(4):
        w = _heavy(seed, (64, 128))
        plain = dequantize(quantize(w, num_bits=bits, group_size=64, axis=1, round_zero=False))
        for keep in ("last", "best"):
            q = hqq(w, num_bits=bits, group_size=64, settings=replace(AUTHORS, keep=keep))
            for power, most in ((0.7, 0.99), (1, 0.98), (2, 0.96)):
                mine = (np.abs(q.dequantize().astype(np.float64) - w) ** power).mean()
                before = (np.abs(plain.astype(np.float64) - w) ** power).mean()
                assert mine < most * before, f"seed {seed}, {keep}, p {power}: {mine / before}"


def test_hqq01_the_best_of_the_rounds_is_never_worse_than_none() -> None:
    def error(w: F32, inverse: F32, zero: F32, bits: int) -> np.float32:
        q = encode(w, inverse_scale=inverse, zero_point=zero, num_bits=bits).astype(np.float32)
        return np.float32(np.abs(w - (q - zero) / inverse).mean(dtype=np.float64))

    for seed in range(30):
        bits, axis = 1 + seed % 4, seed % 2
        w = _heavy(seed, (4, 8)) if seed % 3 else np.round(_heavy(seed, (4, 8)) * 8) / 8
        w = np.asarray(w, np.float32)
        inverse, zero = choose_qparams(w, num_bits=bits, axis=axis, round_zero=False)
        found = optimize(w, inverse, zero, num_bits=bits, axis=axis, settings=BEST)
        before, after = error(w, inverse, zero, bits), error(w, inverse, found, bits)
        assert after <= before, f"seed {seed}: {after} after, {before} before"


def test_the_authors_keep_a_zero_nobody_looked_at() -> None:
    """The round that fails still moves z, and may make it worse than plain rounding: HQQ-LAST."""
    worse = 0
    for seed in range(60):
        w = np.random.default_rng(seed).integers(-3, 4, size=(1, 8)).astype(np.float32)
        start = quantize(w, num_bits=2, group_size=8, axis=1, round_zero=False)
        last = quantize_groups(w, num_bits=2, group_size=8, axis=1, settings=AUTHORS)
        worse += bool(np.abs(dequantize(last) - w).sum() > np.abs(dequantize(start) - w).sum())
    assert worse, "no such weight among sixty: say so in the page"


def test_the_scale_never_moves_and_both_axes_are_one_method() -> None:
    w = _heavy(3, (16, 32))
    for axis in (0, 1):
        start = quantize(w, num_bits=3, group_size=16, axis=axis, round_zero=False)
        found = quantize_groups(w, num_bits=3, group_size=16, axis=axis, settings=AUTHORS)
        assert np.array_equal(found.scale, start.scale), "zero is updated, scale fixed"
        assert not np.array_equal(found.zero_point, start.zero_point), "and zero is"
    down = quantize_groups(w, num_bits=3, group_size=16, axis=0, settings=AUTHORS)
    across = np.ascontiguousarray(w.reshape(16, -1).T)
    same = quantize_groups(across, num_bits=3, group_size=16, axis=1, settings=AUTHORS)
    assert np.array_equal(down.codes.T, same.codes), "axis 0 is axis 1 of the transpose"


def test_a_matrix_keeps_its_groups() -> None:
    w = _heavy(9, (6, 32))
    q = hqq(w, num_bits=4, group_size=8, settings=AUTHORS)
    same = quantize_groups(w, num_bits=4, group_size=8, axis=1, settings=AUTHORS)
    assert q.scale.shape == (6, 4), "four groups a row"
    assert q.g_idx.tolist() == [j // 8 for j in range(32)], "runs of eight"
    assert np.array_equal(q.dequantize(), dequantize(same)), "the same reals"
    assert (q.signed, q.num_bits) == (False, 4), "codes 0 to 15"


def test_shrink_takes_more_from_small_errors() -> None:
    d = np.array([-2, -0.05, -0.0, 0.0, 1e-45, 0.05, 0.5, 2, 3e38], np.float32)
    e = shrink(d, p=0.7, beta=10.0)
    assert e[1] == e[2] == e[3] == e[4] == e[5] == 0, "small errors vanish"
    assert e[8] == d[8], "large ones stay"
    assert 0 < d[7] - e[7] < d[6] - e[6], "and the larger, the less is taken"
    assert e[0] == -e[7], "odd"
    soft = shrink(np.array([0.05, 1.0, -3], np.float32), p=1.0, beta=10.0)
    tenth = np.float32(0.1)
    expected = [0.0, float(np.float32(1) - tenth), float(tenth - np.float32(3))]
    assert soft.tolist() == expected, "p = 1 is the soft threshold"


def test_the_same_bytes_every_run_and_nothing_changed() -> None:
    w = _heavy(1, (8, 16))
    before = w.tobytes()
    runs = [hqq(w, num_bits=3, group_size=8, settings=AUTHORS) for _ in range(2)]
    assert runs[0].zero_point.tobytes() == runs[1].zero_point.tobytes(), "zero points"
    assert w.tobytes() == before, "arguments are not changed"


def test_constant_groups_empty_matrices_and_single_columns() -> None:
    w = np.full((2, 4), 0.3, np.float32)
    q = hqq(w, num_bits=4, group_size=4, settings=AUTHORS)
    assert np.array_equal(q.dequantize(), w), "a constant group comes back exactly"
    assert not hqq(0 * w, num_bits=4, group_size=4, settings=AUTHORS).dequantize().any(), "zeros"
    empty = quantize_groups(w[:0], num_bits=4, group_size=4, axis=1, settings=AUTHORS)
    assert dequantize(empty).shape == (0, 4), "no groups"
    one = hqq(w[:, :1], num_bits=4, group_size=1, settings=AUTHORS)
    assert np.array_equal(one.dequantize(), w[:, :1]), "a group of one"


def test_what_has_no_meaning_is_refused() -> None:
    w = np.ones((2, 4), np.float32)
    nan = np.where(w > 0, np.nan, w).astype(np.float32)
    good: dict[str, Any] = {"num_bits": 4, "group_size": 4, "settings": AUTHORS}
    for matrix, change, words in (
        (w[0], {}, r"w must be float32 \(n, k\)"),
        (w[:0], {}, "not empty"),
        (nan, {}, "finite|NaN"),
        (w, {"group_size": 3}, "group_size must divide"),
        (w, {"group_size": 8}, "group_size must divide the 4 columns"),
        (w, {"num_bits": 9}, "num_bits must be in 1..8"),
    ):
        with pytest.raises(ValueError, match=words):
            hqq(matrix, **(good | change))
    wrong: tuple[dict[str, Any], ...] = (
        {"p": 0.0}, {"p": 1.1}, {"beta": 0.0}, {"kappa": 0.9}, {"iters": 0},
    )  # fmt: skip
    for setting in wrong:
        with pytest.raises(ValueError, match="p must be in"):
            replace(AUTHORS, **setting)
    with pytest.raises(ValueError, match="keep must be one of last, best; got 'first'"):
        replace(AUTHORS, keep="first")
