"""GPTQ: against Optimal Brain Surgeon in fractions, its laws, its witness, and its bits."""

import hashlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.gptq import GROUPS, GptqSettings, gptq, gptq_affine
from refquant.algorithms.gptq_target import AffineTarget
from refquant.algorithms.hessian import Hessian
from refquant.algorithms.rtn import min_max, rtn
from refquant.contracts import preset
from tests.refquant.algorithms import surgeon

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def target(dtype: str = "uint4", *, symmetric: bool = False) -> AffineTarget:
    return AffineTarget(dtype=dtype, symmetric=symmetric, contract=preset("gptq"), clip=min_max)


def layer(seed: int, n: int = 4, k: int = 8, tokens: int = 60) -> tuple[F32, F64]:
    """Weights, and the Hessian of inputs that share a few causes and differ in size."""
    rng = np.random.default_rng(seed)
    causes = rng.standard_normal((max(k // 4, 1), k))
    x = rng.standard_normal((tokens, len(causes))) @ causes + 0.3 * rng.standard_normal((tokens, k))
    x *= np.exp2(rng.integers(-2, 2, k))
    h = Hessian(k).update(x.astype(np.float32)).matrix()
    return rng.standard_normal((n, k)).astype(np.float32), h


def objective(w: F32, values: F32, h: F64) -> float:
    d = w.astype(np.float64) - values
    return float(np.sum((d @ h) * d))


def ruler_of(weights: list[Fraction], qmax: int) -> surgeon.Ruler:
    """The authors' asymmetric ruler, in float32 steps that need no rounding rule of ours."""
    lo = np.float32(min(0.0, *(float(np.float32(float(v))) for v in weights)))
    hi = np.float32(max(0.0, *(float(np.float32(float(v))) for v in weights)))
    scale = np.float32(np.float32(hi - lo) / np.float32(qmax))
    return Fraction(float(scale)), -round(Fraction(float(np.float32(lo / scale))))


class Rulers:
    """Which ruler the definition asks for at each step of one row's walk."""

    def __init__(self, w: list[Fraction], order: list[int], settings: GptqSettings) -> None:
        self.first, self.order, self.settings = w, order, settings
        self.size = settings.group_size or len(w)
        self.seen, self.last = w, ruler_of(w, 15)

    def __call__(self, position: int, now: list[Fraction]) -> surgeon.Ruler:
        if position % self.settings.block_size == 0 or self.settings.groups == "fresh":
            self.seen = list(now)
        if self.settings.groups == "static":
            start = self.order[position] // self.size * self.size
            return ruler_of(self.first[start : start + self.size], 15)
        if position % self.size == 0 and self.settings.group_size:
            columns = self.order[position : position + self.size]
            self.last = ruler_of([self.seen[j] for j in columns], 15)
        return self.last


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("act_order", [False, True])
@pytest.mark.parametrize("group_size", [None, 2, 4])
def test_codes_are_those_of_the_exact_surgeon(
    groups: str, act_order: bool, group_size: int | None
) -> None:
    w, h = layer(7)
    settings = GptqSettings(group_size=group_size, groups=groups, act_order=act_order, block_size=3)
    got = gptq(w, h, target=target(), settings=settings)
    order = sorted(range(8), key=lambda j: -h[j, j]) if act_order else list(range(8))
    for row in range(len(w)):
        first = [Fraction(float(v)) for v in w[row]]
        codes, values = surgeon.walk(
            first,
            surgeon.damped(h, 0.01),
            order=order,
            ruler=Rulers(first, order, settings),
            qmax=15,
        )
        assert got.codes[row].tolist() == codes, f"row {row}: codes"
        # The weights of a late group may differ in the last bit of float32, and so its scale.
        off = [abs(float(a) - float(b)) for a, b in zip(values, got.values[row], strict=True)]
        assert max(off) <= 16 * 2.0**-23 * max(1.0, float(np.abs(got.values).max())), f"row {row}"


def test_the_loss_is_the_objective_of_the_damped_hessian() -> None:
    w, h = layer(8)
    got = gptq(w, h, target=target("uint3"), settings=GptqSettings(act_order=True))
    lifted = surgeon.damped(h, got.damp)
    for row in range(len(w)):
        d = [
            Fraction(float(a)) - Fraction(float(b))
            for a, b in zip(w[row], got.values[row], strict=True)
        ]
        exact = sum(d[a] * lifted[a][b] * d[b] for a in range(8) for b in range(8))
        # One block: each of the about 3 k^2 float64 roundings costs 2^-53 times the condition
        # number, which is below 2^10.
        error = abs(Fraction(float(got.loss[row])) / exact - 1)
        assert error < Fraction(1, 2**34), f"row {row}: {float(error)}"


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("symmetric", [False, True])
def test_uncorrelated_inputs_make_it_round_to_nearest(groups: str, symmetric: bool) -> None:
    w, _ = layer(9, n=5, k=12)
    h = np.diag(np.arange(1.0, 13.0))
    t = target("uint3", symmetric=symmetric)
    settings = GptqSettings(group_size=4, groups=groups, block_size=5)
    got = gptq_affine(w, h, target=t, settings=settings)
    plain = rtn(w, group_size=4, dtype="uint3", symmetric=symmetric, contract=t.contract,
                clip=min_max)  # fmt: skip
    assert np.array_equal(got.codes, plain.codes), "nobody can make up for anybody"
    assert np.array_equal(got.dequantize(), plain.dequantize()), "and the rulers are the same"


def test_witness_errors_cancel_where_inputs_are_correlated() -> None:
    w, h = layer(10, n=32, k=64, tokens=400)
    for dtype, least in (("uint4", 2.0), ("uint3", 2.0)):
        t = target(dtype)
        plain = rtn(w, group_size=32, dtype=dtype, symmetric=False, contract=t.contract,
                    clip=min_max)  # fmt: skip
        got = gptq(w, h, target=t, settings=GptqSettings(group_size=32))
        gain = objective(w, plain.dequantize(), h) / objective(w, got.values, h)
        assert gain > least, f"{dtype}: {gain}"
        far = np.abs(got.values - w).mean() / np.abs(plain.dequantize() - w).mean()
        assert far > 1, "each weight alone is further from its mark: that is the point"


def test_witness_act_order_helps_where_inputs_differ_in_size() -> None:
    w, _ = layer(11, n=32, k=64)
    rng = np.random.default_rng(12)
    x = rng.standard_normal((500, 16)) @ rng.standard_normal((16, 64)) * 0.2
    x = (x + rng.standard_normal((500, 64))) * np.exp2(np.linspace(-4, 0, 64))  # the last matter
    h = Hessian(64).update(x.astype(np.float32)).matrix()
    losses = [
        objective(w, gptq(w, h, target=target("uint3"), settings=s).values, h)
        for s in (GptqSettings(), GptqSettings(act_order=True))
    ]
    assert losses[1] < 0.8 * losses[0], f"natural, by size: {losses}"


def test_rows_do_not_know_of_each_other() -> None:
    w, h = layer(13, n=6, k=24)
    settings = GptqSettings(group_size=8, act_order=True, block_size=7)
    whole = gptq(w, h, target=target(), settings=settings)
    for row in range(6):
        alone = gptq(w[row : row + 1], h, target=target(), settings=settings)
        assert np.array_equal(alone.codes[0], whole.codes[row]), f"row {row}"
        assert np.array_equal(alone.loss, whole.loss[row : row + 1]), f"row {row}: the bits, too"


def test_the_unit_of_the_hessian_does_not_matter() -> None:
    w, h = layer(14)
    base = gptq(w, h, target=target(), settings=GptqSettings(act_order=True))
    for factor in (2.0**-40, 2.0**20):
        other = gptq(w, h * factor, target=target(), settings=GptqSettings(act_order=True))
        assert np.array_equal(other.codes, base.codes), f"times {factor}"


def test_blocks_are_a_matter_of_speed_unless_groups_are_lazy() -> None:
    w, h = layer(15, n=8, k=40, tokens=200)
    results = {
        (groups, block): gptq(
            w, h, target=target("uint3"),
            settings=GptqSettings(group_size=4, groups=groups, block_size=block),
        ).codes.tolist()
        for groups in GROUPS
        for block in (1, 4, 16, 40)
    }  # fmt: skip
    for groups in ("static", "fresh"):
        for block in (1, 4, 16):
            assert results[groups, block] == results[groups, 40], f"{groups}, {block}"
    for block in (1, 4):
        assert results["lazy", block] == results["fresh", 40], "blocks no larger than a group"
    assert results["lazy", 40] != results["fresh", 40], "groups within a block see old weights"


def test_groups_of_ordered_columns_are_told_by_g_idx() -> None:
    w, h = layer(16, n=3, k=8)
    order = np.argsort(-np.diag(h), kind="stable")
    settings = GptqSettings(group_size=4, groups="lazy", act_order=True)
    q = gptq_affine(w, h, target=target(), settings=settings)
    assert q.g_idx[order].tolist() == [0, 0, 0, 0, 1, 1, 1, 1], "the first four of the walk"
    assert sorted(q.g_idx.tolist()) != q.g_idx.tolist(), "which are no neighbours"
    values = gptq(w, h, target=target(), settings=settings).values
    assert np.array_equal(q.dequantize(), values), "the stored form means the same values"
    static = gptq_affine(w, h, target=target(), settings=GptqSettings(
        group_size=4, groups="static", act_order=True))  # fmt: skip
    assert static.g_idx.tolist() == [0, 0, 0, 0, 1, 1, 1, 1], "static groups are plain runs"


def test_equal_diagonals_are_taken_from_the_left() -> None:
    w, _ = layer(17, n=2, k=6)
    h = np.full((6, 6), 0.5) + np.eye(6)
    plain = gptq(w, h, target=target(), settings=GptqSettings())
    ordered = gptq(w, h, target=target(), settings=GptqSettings(act_order=True))
    assert np.array_equal(plain.codes, ordered.codes), "a tie must not depend on a sort's mood"


def test_dead_columns_become_zero_and_disturb_nobody() -> None:
    w, h = layer(18, n=3, k=8)
    h[2], h[:, 2], h[5], h[:, 5] = 0.0, 0.0, 0.0, 0.0
    w[:, 2] = 100.0
    q = gptq(w, h, target=target(), settings=GptqSettings(group_size=4, groups="static"))
    assert q.values[:, [2, 5]].tolist() == [[0.0, 0.0]] * 3, "their weights are zero"
    assert float(np.asarray(q.rulers[0].scale).max()) < 1, "and no range of a group"
    row = gptq(w, h, target=target(), settings=GptqSettings())
    assert float(np.asarray(row.rulers[0].scale).min()) > 6, "but of a row, as the authors do"
    nothing = gptq(w, np.zeros((8, 8)), target=target(), settings=GptqSettings(group_size=4))
    assert not nothing.values.any(), "an input that is always zero needs no weights"


def test_rows_of_zeros_one_column_and_few_tokens() -> None:
    w, h = layer(19, n=3, k=8, tokens=3)
    w[1] = 0.0
    q = gptq_affine(w, h, target=target(), settings=GptqSettings())
    assert not q.dequantize()[1].any(), "zero stays zero"
    one = gptq(w[:, :1], np.ones((1, 1)), target=target(), settings=GptqSettings())
    plain = rtn(w[:, :1], group_size=None, dtype="uint4", symmetric=False,
                contract=preset("gptq"), clip=min_max)  # fmt: skip
    assert np.array_equal(one.codes, plain.codes), "one column has nobody to pay"


def test_a_hessian_that_fails_is_damped_or_refused() -> None:
    w = np.array([[0.3, 0.9]], np.float32)
    h = np.array([[1.0, 1.02], [1.02, 1.0]])
    with pytest.raises(ValueError, match="positive definite"):
        gptq(w, h, target=target(), settings=GptqSettings(damp_increment=0.0))
    assert gptq(w, h, target=target(), settings=GptqSettings()).damp == 0.03, "and it is told"


def test_bad_arguments_are_refused() -> None:
    w, h = layer(20)
    skew, negative, holed = h.copy(), h.copy(), h.copy()
    skew[0, 1] += 1
    negative[3, 3] = -1
    holed[0, 0] = np.nan
    hessians: tuple[tuple[Any, str], ...] = (
        (h[:-1], r"float64 \(8, 8\)"),
        (h.astype(np.float32), r"float64 \(8, 8\), got float32"),
        (skew, "symmetric"),
        (negative, "diagonal >= 0"),
        (holed, "h must be finite, got 1"),
    )
    for bad, words in hessians:
        with pytest.raises(ValueError, match=words):
            gptq(w, bad, target=target(), settings=GptqSettings())
    w_nan = w.copy()
    w_nan[0, 0] = np.nan
    for bad_w, words in ((w_nan, "w must be finite, got 1"), (w[:0], "not empty"), (w[0], "n, k")):
        with pytest.raises(ValueError, match=words):
            gptq(bad_w, h, target=target(), settings=GptqSettings())
    with pytest.raises(ValueError, match="group_size must divide the 8 columns"):
        gptq(w, h, target=target(), settings=GptqSettings(group_size=3))
    for groups, block_size in (("late", 128), ("lazy", 0)):
        with pytest.raises(ValueError, match="groups must be one of static, lazy, fresh"):
            GptqSettings(groups=groups, block_size=block_size)


def test_arguments_are_not_changed() -> None:
    w, h = layer(21)
    h[3], h[:, 3] = 0.0, 0.0
    before = w.tobytes(), h.tobytes()
    gptq(w, h, target=target(), settings=GptqSettings(act_order=True, group_size=2, groups="fresh"))
    assert (w.tobytes(), h.tobytes()) == before, "pure"


def test_the_same_bytes_on_every_machine() -> None:
    """The digest was computed once; CPU, threads, BLAS and NumPy must not show in it."""
    rng = np.random.default_rng(22)
    causes = rng.integers(-99, 100, (500, 40))
    x = (causes @ rng.integers(-9, 10, (40, 200)) + rng.integers(-99, 100, (500, 200))) / 256
    w = rng.integers(-999, 1000, (24, 200)).astype(np.float32) / np.float32(1024)
    h = Hessian(200).update(x.astype(np.float32)).matrix()
    settings = GptqSettings(group_size=40, act_order=True, block_size=64)
    q = gptq(w, h, target=target(), settings=settings)
    parts = (q.codes, q.values, q.loss, q.g_idx)
    digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
    assert digest[:16] == "b4316fdbba7df7b0", f"codes, values, losses and groups: {digest[:16]}"
