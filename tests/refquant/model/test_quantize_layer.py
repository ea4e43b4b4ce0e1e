"""One layer: the algorithm that was asked for, with what it was told, and an honest loss."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.algorithms.gptq import GptqSettings, gptq_affine
from refquant.algorithms.gptq_target import AffineTarget
from refquant.algorithms.hessian import Hessian
from refquant.algorithms.hqq import AUTHORS, hqq
from refquant.algorithms.rtn import min_max, rtn
from refquant.contracts import preset
from refquant.model import quantize_layer as quantize_layer_module
from refquant.model.coded import coded_reals
from refquant.model.graph import Node
from refquant.model.quantize_layer import Seen, loss, quantize_layer, spread
from refquant.model.recipe_rules import Weights

NODE = Node("fc", "MatMul", ("x", "w"), ("y",))
ORT = preset("ort")
GROUPS = {"bits": 4, "symmetric": False, "granularity": "group", "group_size": 8}


def layer(seed: int = 3, tokens: int = 200) -> tuple[Any, Any, Seen]:
    """A weight (k, n), inputs that move together, and what the layer sees of them."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((32, 6)).astype(np.float32)
    mixed = rng.standard_normal((tokens, 32)) @ (rng.standard_normal((32, 32)) + 2)
    x = mixed.astype(np.float32)
    return w, x, Seen(Hessian(32).update(x), lambda: iter([x[:7], x[7:]]))


def made(seen: Seen | None, w: Any, **rules: Any) -> tuple[Any, dict[str, Any]]:
    coded, record = quantize_layer(
        NODE, w, Weights(**{**GROUPS, **rules}), contract=ORT, seen=seen, name="w"
    )
    return coded, record


def test_gptq_is_the_algorithm_with_the_settings_of_the_recipe() -> None:
    w, _, seen = layer()
    settings = {"act_order": True, "block_size": 4, "damp": 0.05, "groups": "lazy"}
    coded, record = made(seen, w, algorithm="gptq", gptq=settings)
    target = AffineTarget(dtype="uint4", symmetric=False, contract=ORT, clip=min_max)
    told = GptqSettings(group_size=8, act_order=True, block_size=4, damp=0.05, groups="lazy")
    expected = gptq_affine(w.T.copy(), seen.hessian.matrix(), target=target, settings=told)
    assert coded_reals(coded).T.tobytes() == expected.dequantize().tobytes(), "other weights"
    assert coded.g_idx is not None, "act_order and lazy groups: in another order"
    assert (record["damp"], record["tokens"], record["measure"]) == (0.05, 200, "outputs"), record


def test_hqq_is_the_algorithm_and_needs_no_data() -> None:
    w, _, _ = layer()
    coded, record = made(None, w, algorithm="hqq")
    expected = hqq(w.T.copy(), num_bits=4, group_size=8, settings=AUTHORS)
    assert coded_reals(coded).T.tobytes() == expected.dequantize().tobytes(), "other weights"
    assert record["measure"] == "weights", "nothing is known of the outputs"


def test_awq_clips_by_the_outputs_it_sees() -> None:
    w, _, seen = layer()
    plain, before = made(seen, w, algorithm="awq", awq={"clip": False})
    expected = rtn(w.T.copy(), group_size=8, dtype="uint4", symmetric=False, contract=ORT,
                   clip=min_max)  # fmt: skip
    assert coded_reals(plain).T.tobytes() == expected.dequantize().tobytes(), "rounding alone"
    assert before["clipped"] == 0, before
    _, after = made(seen, w, algorithm="awq")
    assert 0 < after["clipped"] < 1, f"some weights are cut: {after}"


def test_outputs_lose_less_by_gptq_than_by_rounding() -> None:
    """The witness: correlated inputs let errors cancel."""
    w, _, seen = layer()
    _, nearest = made(seen, w, algorithm="awq", awq={"clip": False})
    _, walked = made(seen, w, algorithm="gptq")
    assert walked["loss"] < 0.5 * nearest["loss"], f"{walked['loss']}, {nearest['loss']}"


def test_the_loss_is_that_of_the_outputs() -> None:
    """Eq. (1) from its definition, in fractions, of numbers that Hessians hold exactly."""
    rng = np.random.default_rng(4)
    x = rng.integers(-8, 9, (20, 5)).astype(np.float32)
    w, other = (rng.integers(-8, 9, (3, 5)).astype(np.float32) for _ in range(2))

    def power(matrix: Any) -> Fraction:
        rows = [[Fraction(float(v)) for v in row] for row in matrix]
        tokens = [[Fraction(float(v)) for v in row] for row in x]
        return Fraction(
            sum(sum(a * b for a, b in zip(r, t, strict=True)) ** 2 for r in rows for t in tokens)
        )

    exact = power(other - w) / power(w)
    got = loss(w, other, Hessian(5).update(x).matrix())
    assert got is not None, "outputs are not zero"
    # H has a factor 2 / 20, one rounding; sums and quotient a few more: 2^-53 each.
    assert abs(Fraction(got) - exact) <= exact * Fraction(20, 2**53), f"{got} is not {exact}"
    assert loss(np.zeros((1, 5), np.float32), w[:1], None) is None, "nothing of nothing"


def test_too_few_tokens_are_refused_unless_they_are_asked_for() -> None:
    w, _, seen = layer(tokens=31)
    with pytest.raises(ValueError, match=r"node 'fc', weight 'w': .* 31 tokens for 32 inputs"):
        made(seen, w, algorithm="gptq")
    _, record = made(seen, w, algorithm="gptq", gptq={"few_tokens": True})
    assert record["tokens"] == 31, record


def test_a_hessian_that_no_damping_mends_is_named() -> None:
    w, _, seen = layer(tokens=2)
    settings = {"few_tokens": True, "damp": 0.0, "damp_increment": 0.0}
    with pytest.raises(ValueError, match=r"node 'fc', weight 'w': h must be positive definite"):
        made(seen, w, algorithm="gptq", gptq=settings)


@pytest.mark.parametrize("format", ["affine", "nf4"])
def test_dead_inputs_are_told_and_a_dead_layer_is_refused(format: str) -> None:
    w, x, _ = layer()
    told: dict[str, Any] = {"algorithm": "gptq"}
    if format != "affine":
        told = {**told, "format": format, "bits": 4, "symmetric": True, "group_size": None}

    def seen(x: Any) -> Seen:
        return Seen(Hessian(32).update(x), lambda: iter([x]))

    x[:, [3, 7]] = 0
    _, record = made(seen(x), w, **told)
    assert record["dead"] == 2, record
    with pytest.raises(ValueError, match=r"node 'fc', weight 'w': all inputs are 0 in all 200 tok"):
        made(seen(0 * x), w, **told)


@pytest.mark.parametrize("algorithm", ["rtn", "gptq", "awq", "hqq"])
def test_weights_that_are_not_finite_are_named(algorithm: str) -> None:
    w, _, seen = layer()
    w[3, 2] = np.inf
    with pytest.raises(ValueError, match="weight 'w'"):
        made(seen, w, algorithm=algorithm)


def test_spread_takes_every_so_many_th_however_batches_are_cut() -> None:
    x = np.arange(23, dtype=np.float32)[:, None]
    state = Hessian(1).update(x + 1)
    for cuts in ([23], [1] * 23, [5, 5, 13]):
        ends = np.cumsum(cuts)
        parts = [x[e - c : e] for c, e in zip(cuts, ends, strict=True)]
        got = spread(Seen(state, lambda parts=parts: iter(parts)), 5)  # type: ignore[misc]  # bound now
        assert got.ravel().tolist() == [0, 4, 8, 12, 16, 20], f"cut as {cuts}: {got.ravel()}"


def test_a_loss_is_the_same_however_many_rows_go_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    w, rounded = rng.standard_normal((2, 7, 5)).astype(np.float32)
    h = Hessian(5).update(rng.standard_normal((20, 5)).astype(np.float32)).matrix()
    for matrix in (h, None):
        whole = loss(w, rounded, matrix)
        for rows in (1, 3, 7):
            monkeypatch.setattr(quantize_layer_module, "_ROWS", rows)
            assert loss(w, rounded, matrix) == whole, f"{rows} rows at a time"
        monkeypatch.undo()
