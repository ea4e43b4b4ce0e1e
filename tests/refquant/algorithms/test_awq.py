"""AWQ: the grid, the loss, what the search gains, and what it refuses."""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.awq import awq, output_loss, round_groups, search_scale
from refquant.algorithms.awq_clip import clip_groups, search_clip
from refquant.algorithms.weight import QuantizedWeight

F32 = NDArray[np.float32]


def _layer(seed: int, *, n: int, k: int, samples: int, loud: Sequence[int]) -> tuple[F32, F32]:
    """Return a normal weight, and activations of which a few channels are 30 times larger."""
    rng = np.random.default_rng(seed)
    w, x = rng.normal(size=(n, k)) / 8, rng.normal(size=(samples, k))
    x[:, list(loud)] *= 30
    return w.astype(np.float32), x.astype(np.float32)


def _error(w: F32, x: F32, approximate: F32) -> float:
    d = x.astype(np.float64) @ (approximate.astype(np.float64) - w).T
    return float((d * d).mean())


def _rounding(w: F32) -> QuantizedWeight:
    return round_groups(w, num_bits=3, group_size=w.shape[1])


def _grid(a: F32, weights: Sequence[F32], flavour: str, group_size: int) -> list[F32]:
    """Return the twenty scales tried. ``weights[0]`` is a row of ones: times s, it is s."""
    tried: list[F32] = []

    def spy(w: F32) -> QuantizedWeight:
        tried.append(w[0])
        return _rounding(w)

    search_scale(
        weights, a, loss=lambda _: 0.0, rounding=spy, group_size=group_size, flavour=flavour
    )
    return tried[:: len(weights)]


def test_few_loud_channels_make_awq_better_than_rounding() -> None:
    for bits, most in ((3, 0.35), (4, 0.35)):
        for seed in range(4):
            w, x = _layer(seed, n=32, k=64, samples=128, loud=(3, 40))
            plain = _error(w, x, round_groups(w, num_bits=bits, group_size=64).dequantize())
            for flavour in ("llm_awq", "autoawq"):
                for clip in (False, True):
                    r = awq([w], x, num_bits=bits, group_size=64, flavour=flavour, clip=clip)
                    mine = _error(w, x, r.weights[0].dequantize() / r.search.scale)
                    said = f"{bits} bits, seed {seed}, {flavour}, clip {clip}: {mine} of {plain}"
                    assert mine < most * plain, said


def test_where_all_channels_are_alike_there_is_little_to_gain() -> None:
    w, x = _layer(5, n=32, k=64, samples=128, loud=())
    r = awq([w], x, num_bits=4, group_size=64, flavour="llm_awq", clip=False)
    plain = _error(w, x, round_groups(w, num_bits=4, group_size=64).dequantize())
    mine = _error(w, x, r.weights[0].dequantize() / r.search.scale)
    assert 0.8 * plain < mine <= plain, f"{mine} of {plain}: the witness above is about the loud"


def test_the_first_candidate_of_llm_awq_is_plain_rounding_so_it_never_loses() -> None:
    for seed in range(5):
        w, x = _layer(seed, n=8, k=32, samples=16, loud=(1,) if seed % 2 else ())
        search = awq([w], x, num_bits=3, group_size=16, flavour="llm_awq", clip=False).search
        plain = round_groups(w, num_bits=3, group_size=16).dequantize()
        h = x.astype(np.float64).T @ x.astype(np.float64) / len(x)
        assert search.losses[0] == output_loss([w], h)([plain]), "r = 0 is s = 1"
        assert search.losses.min() <= search.losses[0], "the least is kept"
        found = search.losses[round(search.ratio * 20)]
        assert found == search.losses.min(), "and it is that of the ratio"


def test_autoawq_may_lose_to_plain_rounding() -> None:
    """Its r = 0 divides by the weights' mean, so s = 1 is no candidate: AUTOAWQ-LOSES."""
    w = np.array([[0.5, -0.5, -0.5, 1.0]], np.float32)  # on the grid already
    x = np.eye(4, dtype=np.float32)
    search = awq([w], x, num_bits=2, group_size=4, flavour="autoawq", clip=False).search
    plain = _error(w, x, round_groups(w, num_bits=2, group_size=4).dequantize())
    assert search.losses.min() > plain == 0, f"best of AutoAWQ {search.losses.min()}, plain {plain}"


def test_the_grid_is_the_papers_to_the_last_bit() -> None:
    a = np.array([0.0, 1e-9, 0.3, 1, 7.25, 1e4], np.float32)
    tried = _grid(a, [np.ones((1, 6), np.float32)], "llm_awq", 6)
    assert len(tried) == 20, "twenty ratios"
    for step, got in enumerate(tried):
        with localcontext() as context:
            context.prec = 60
            r = Decimal(step / 20)
            powers = [Decimal(float(v)) ** r if v else Decimal(int(step == 0)) for v in a]
        s = np.maximum([np.float32(float(p)) for p in powers], np.float32(1e-4))
        root = np.float32(np.sqrt(float(np.float32(s.max() * s.min()))))
        assert np.array_equal(got, (s / root).astype(np.float32)), f"r = {step}/20"


def test_the_grid_of_autoawq_divides_by_the_weights_mean() -> None:
    a = np.array([2.0, 0.25, 1.0, 3.0], np.float32)
    w = np.array([[1, -2, 0.5, 0], [4, 1, -1, 3]], np.float32)
    ones, small = np.ones((1, 4), np.float32), np.float32(1e-4)
    tops = np.array([[1, 1, 1, 1], [2, 2, 0.5, 0.5], [4, 4, 3, 3]], np.float32)  # of each group
    relative = np.abs(np.concatenate([ones, w])) / (tops + np.float32(1e-6))
    means = [np.float32(float(sum(map(Fraction, column)) / 3)) for column in relative.T.tolist()]
    for step, got in enumerate(_grid(a, [ones, w], "autoawq", 2)):
        r, s = step / 20, np.zeros(4, np.float32)
        for j in range(4):
            below = np.float32(float(means[j]) ** (1 - r)) + small
            s[j] = max(np.float32(float(a[j]) ** r) / below, small)
        expected = s / np.sqrt(s.max() * s.min())
        assert np.array_equal(got, expected), f"r = {step}/20: {got} for {expected}"


def test_the_loss_is_exact_where_float64_is() -> None:
    rng = np.random.default_rng(3)
    w, new = (rng.integers(-9, 9, size=(3, 5)).astype(np.float32) for _ in range(2))
    v, also = (rng.integers(-9, 9, size=(1, 5)).astype(np.float32) for _ in range(2))
    x = rng.integers(-9, 9, size=(8, 5))
    d = np.concatenate([new - w, also - v])
    exact = sum(
        sum(int(a) * int(b) for a, b in zip(t, row, strict=True)) ** 2 for t in x for row in d
    )
    got = output_loss([w, v], (x.T @ x / 8.0))([new, also])
    assert got == exact / 32, "eq. (3) by eq. (5): the mean over 8 samples of 4 outputs"


def test_awq_is_its_parts_one_after_the_other() -> None:
    w, x = _layer(13, n=32, k=32, samples=24, loud=())
    x *= np.geomspace(1, 20, 32, dtype=np.float32)
    x[0, 3] = 20  # a spike: the mean is not the maximum
    means = [float(sum(abs(Fraction(v)) for v in column) / 24) for column in x.T.tolist()]
    kinds: dict[str, Any] = {"group_size": 16, "flavour": "llm_awq"}

    def rounding(v: F32) -> QuantizedWeight:
        return round_groups(v, num_bits=3, group_size=16)

    wide = x.astype(np.float64)
    loss = output_loss([w], wide.T @ wide / 24)
    search = search_scale([w], np.array(means, np.float32), loss=loss, rounding=rounding, **kinds)
    got = awq([w], x, num_bits=3, clip=True, **kinds)
    assert np.array_equal(got.search.scale, search.scale), "a is the mean magnitude"
    scaled = w * search.scale
    clips: dict[str, Any] = {"group_size": 16, "grid": 20, "max_shrink": 0.5, "max_samples": 512}
    limit, other = (
        search_clip(scaled, read, rounding=rounding, **clips) for read in (x / search.scale, x)
    )
    assert not np.array_equal(limit, other), "the fixture tells the two inputs apart"
    expected = rounding(clip_groups(scaled, limit))
    assert np.array_equal(got.weights[0].codes, expected.codes), "clipped for what it will read"


def test_layers_that_share_an_input_share_the_scale() -> None:
    w, x = _layer(9, n=12, k=32, samples=64, loud=(2,))
    together = awq([w[:4], w[4:]], x, num_bits=3, group_size=32, flavour="llm_awq", clip=True)
    whole = awq([w], x, num_bits=3, group_size=32, flavour="llm_awq", clip=True)
    assert np.array_equal(together.search.scale, whole.search.scale), "one scale for both"
    rows = np.concatenate([part.codes for part in together.weights])
    assert np.array_equal(rows, whole.weights[0].codes), "as if they were one matrix"


def test_a_block_may_judge_instead_of_its_layers() -> None:
    """A loss that looks only at the second matrix must not care for the first."""
    w, x = _layer(11, n=4, k=16, samples=32, loud=(0,))
    v = np.random.default_rng(12).normal(size=(4, 16)).astype(np.float32)
    h = x.astype(np.float64).T @ x.astype(np.float64)
    judge, a = output_loss([v], h), np.abs(x).mean(axis=0)
    kinds: dict[str, Any] = {"rounding": _rounding, "group_size": 16, "flavour": "llm_awq"}
    both = search_scale([w, v], a, loss=lambda new: judge(new[1:]), **kinds)
    alone = search_scale([v], a, loss=judge, **kinds)
    assert np.array_equal(both.losses, alone.losses), "the judge decides"


def test_the_same_bytes_every_run_and_nothing_changed() -> None:
    w, x = _layer(4, n=8, k=32, samples=40, loud=(7,))
    before = w.tobytes(), x.tobytes()
    runs = [awq([w], x, num_bits=4, group_size=16, flavour="autoawq", clip=True) for _ in range(2)]
    assert runs[0].weights[0].codes.tobytes() == runs[1].weights[0].codes.tobytes(), "codes"
    assert runs[0].search.losses.tobytes() == runs[1].search.losses.tobytes(), "losses"
    assert (w.tobytes(), x.tobytes()) == before, "arguments are not changed"


def test_dead_channels_zero_rows_one_column_and_one_sample() -> None:
    w, x = _layer(6, n=4, k=8, samples=1, loud=())
    x[:, 2], w[1], w[:, 5] = 0, 0, 0
    for flavour in ("llm_awq", "autoawq"):
        r = awq([w], x, num_bits=4, group_size=8, flavour=flavour, clip=True)
        assert ((r.search.scale > 0) & (r.search.scale < np.inf)).all(), flavour
        assert not r.weights[0].dequantize()[1].any(), "a row of zeros stays zero"
    one = awq([w[:, :1]], x[:, :1], num_bits=4, group_size=1, flavour="llm_awq", clip=True)
    assert one.search.scale.tolist() == [1.0], "one channel has nothing to trade with"


def test_what_has_no_meaning_is_refused() -> None:
    w, x = np.ones((2, 4), np.float32), np.ones((3, 4), np.float32)
    nan = np.where(np.eye(3, 4) > 0, np.nan, x).astype(np.float32)
    good: dict[str, Any] = {"num_bits": 4, "group_size": 4, "flavour": "llm_awq", "clip": False}
    bad: tuple[tuple[list[F32], Any, dict[str, Any], str], ...] = (
        ([w], nan, {}, "x must be finite"),
        ([w], x[:0], {}, "x must be finite float32 .* not empty"),
        ([w], x.astype(np.float64), {}, "x must be finite float32"),
        ([nan], x, {}, "w must be finite"),
        ([w[:0]], x, {}, "not empty"),
        ([w[:, :3]], x, {"group_size": 3}, r"one or more \(n, 4\)"),
        ([], x, {}, "one or more"),
        ([w], x, {"group_size": 3}, "group_size must divide"),
        ([w], x, {"group_size": 3, "flavour": "autoawq"}, "group_size must divide"),
        ([w], x, {"flavour": "mine"}, "flavour must be one of llm_awq, autoawq; got 'mine'"),
    )
    for weights, inputs, change, words in bad:
        with pytest.raises(ValueError, match=words):
            awq(weights, inputs, **(good | change))
    kinds: dict[str, Any] = {"rounding": _rounding, "group_size": 4, "flavour": "llm_awq"}
    with pytest.raises(ValueError, match="mean_abs must be"):
        search_scale([w], -x[0], loss=lambda _: 0.0, **kinds)
    with pytest.raises(ValueError, match="loss must be finite"):
        search_scale([w], x[0], loss=lambda _: float("nan"), **kinds)


def test_a_loss_that_is_no_number_never_wins() -> None:
    answers = iter([float("nan"), 3.0, float("inf"), 2.0, *[2.0] * 16])
    w, a = np.ones((1, 2), np.float32), np.array([1, 2], np.float32)
    found = search_scale(
        [w], a, loss=lambda _: next(answers), rounding=_rounding, group_size=2, flavour="llm_awq"
    )
    assert found.ratio == 0.15, "the first of the least"
