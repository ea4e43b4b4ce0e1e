"""Rotations: each law exactly on integers, the whole block within a bound that is computed."""

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.rotation import (
    Block,
    fuse_norm,
    fuse_norms,
    rotate_block,
    rotate_inputs,
    rotate_outputs,
)
from refquant.numerics.hadamard import hadamard_matrix, random_signs
from tests.refquant.algorithms.balls import Ball, exact

HIDDEN, INNER, HEAD, HEADS, KV_HEADS, TOKENS = 16, 24, 4, 4, 2, 5
U32 = 2.0**-24
EPSILON = 1e-5


def f32(values: Any) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def signs_of(n: int, seed: int) -> NDArray[np.int8]:
    return random_signs(n, np.random.default_rng(seed))


def block(seed: int) -> Block:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> NDArray[np.float32]:
        return (rng.standard_normal(shape) / (2 * math.sqrt(shape[-1]))).astype(np.float32)

    # Powers of two: fusing them rounds nothing, and the rotation is the only rounding there is.
    gain = np.exp2(rng.integers(-1, 2, (2, HIDDEN))).astype(np.float32)
    return Block(
        gain[0], draw(HEADS * HEAD, HIDDEN), draw(KV_HEADS * HEAD, HIDDEN),
        draw(KV_HEADS * HEAD, HIDDEN), draw(HIDDEN, HEADS * HEAD), gain[1],
        draw(INNER, HIDDEN), draw(INNER, HIDDEN), draw(HIDDEN, INNER), head_size=HEAD,
    )  # fmt: skip


def rotation(signs: NDArray[np.int8]) -> Ball:
    """R as a matrix: signs over a root that is rounded once."""
    n = signs.size
    h = hadamard_matrix(n).astype(np.float64) * signs
    return Ball(h / math.sqrt(n), np.full((n, n), 3 * 2.0**-53 / math.sqrt(n)))


WEIGHTS = ("q", "k", "v", "o", "gate", "up", "down")


def weights(b: Block, *, rounded: bool) -> dict[str, Ball]:
    """What the weights stand for: within half an ulp of float32, if they have been rounded.

    The two transforms' own errors in float64 are below 2 gamma(4 + 12) sum |w|, so below 2**-43 of
    the largest weight times the 24 of a sum.
    """
    u, v = (U32, 2.0**-38) if rounded else (0.0, 0.0)
    wide = {name: getattr(b, name).astype(np.float64) for name in WEIGHTS}
    return {name: Ball(w, 1.001 * u * np.abs(w) + v * np.abs(w).max()) for name, w in wide.items()}


def norm(x: Ball, gain: NDArray[np.float32]) -> Ball:
    count = exact(np.array([[1 / HIDDEN]]))  # 1 / 16 is exact
    mean = (x * x).sum() * count + exact(np.array([[EPSILON]]))
    return x * mean.root().inverse() * exact(gain[None])


def rope(x: Ball) -> Ball:
    """Turn pairs by angles: any orthogonal map of a position that is no Hadamard would do."""
    half = HEAD // 2
    angle = np.arange(TOKENS)[:, None] * 100.0 ** -np.arange(half)
    c, s = exact(np.cos(angle)), exact(np.sin(angle))
    a, b = x[:, :half], x[:, half:]
    first, second = a * c + -(b * s), b * c + a * s
    return Ball(np.concatenate([first.mid, second.mid], axis=1),
                np.concatenate([first.rad, second.rad], axis=1))  # fmt: skip


def softmax(x: Ball) -> Ball:
    """Of the past and present; scores are small, so that nothing need be subtracted."""
    seen = exact(np.tril(np.ones((TOKENS, TOKENS))))
    e = x.exp() * seen
    return e * e.sum().inverse()


def run(x: Ball, b: Block, w: dict[str, Ball], r3: Ball | None, r4: Ball | None) -> Ball:
    """One block of a Llama: attention with shared key heads, then SwiGLU."""
    h = norm(x, b.attention_norm)
    q, k, v = (h @ w[name].transposed for name in "qkv")
    parts = []
    for head in range(HEADS):
        mine = slice(head * HEAD, (head + 1) * HEAD)
        shared = head * KV_HEADS // HEADS * HEAD
        theirs = slice(shared, shared + HEAD)
        a, c = rope(q[:, mine]), rope(k[:, theirs])
        if r3 is not None:
            a, c = a @ r3.transposed, c @ r3.transposed
        scores = (a @ c.transposed) * exact(np.array([[0.5]]))  # 1 / sqrt(4)
        parts.append(softmax(scores) @ v[:, theirs])
    joined = Ball(np.concatenate([p.mid for p in parts], axis=1),
                  np.concatenate([p.rad for p in parts], axis=1))  # fmt: skip
    x = x + joined @ w["o"].transposed
    h = norm(x, b.mlp_norm)
    gate, up = h @ w["gate"].transposed, h @ w["up"].transposed
    silu = gate * (exact(np.ones((1, 1))) + (-gate).exp()).inverse()
    inner = silu * up
    if r4 is not None:
        inner = inner @ r4.transposed
    return x + inner @ w["down"].transposed


@pytest.mark.parametrize("seed", range(3))
def test_the_block_computes_the_same(seed: int) -> None:
    """The original on x, and the rotated one on R1 x: the second output is R1 times the first.

    Both are computed with proven errors, the rotated one with those of its rounded weights, too.
    """
    plain = block(seed)
    r1, r2, r3, r4 = (signs_of(n, seed + n) for n in (HIDDEN, HEAD, HEAD, INNER))
    turned = rotate_block(fuse_norms(plain), r1=r1, r2=r2, r4=r4)
    x = exact(np.random.default_rng(seed).standard_normal((TOKENS, HIDDEN)))
    first = run(x, plain, weights(plain, rounded=False), None, None) @ rotation(r1).transposed
    start = x @ rotation(r1).transposed
    second = run(start, turned, weights(turned, rounded=True), rotation(r3), rotation(r4))
    assert second.overlaps(first).all(), f"{np.abs(second.mid - first.mid).max()}"
    size = np.abs(first.mid).max()
    assert second.rad.max() < size / 1e4, f"a bound that says something: {second.rad.max()}"


@pytest.mark.parametrize("forgotten", ["r1", "r2", "r3", "r4", "gain"])
def test_a_rotation_that_is_forgotten_shows(forgotten: str) -> None:
    """The bound above is tight enough to see each of them missing."""
    plain = block(0)
    r1, r2, r3, r4 = (signs_of(n, n) for n in (HIDDEN, HEAD, HEAD, INNER))
    fused = fuse_norms(plain)
    turned = rotate_block(fused, r1=r1, r2=r2, r4=r4)
    if forgotten == "r2":
        other = r2 * np.array([1, 1, 1, -1], np.int8)
        turned = replace(turned, v=rotate_block(fused, r1=r1, r2=other, r4=r4).v)
    if forgotten == "gain":
        turned = replace(turned, mlp_norm=plain.mlp_norm)
    x = exact(np.random.default_rng(0).standard_normal((TOKENS, HIDDEN)))
    first = run(x, plain, weights(plain, rounded=False), None, None) @ rotation(r1).transposed
    start = x if forgotten == "r1" else x @ rotation(r1).transposed
    w = weights(turned, rounded=True)
    if forgotten == "r3":  # on queries only
        w["k"] = exact(rotate_outputs(w["k"].mid, r3))
    second = run(start, turned, w, rotation(r3), None if forgotten == "r4" else rotation(r4))
    assert not second.overlaps(first).all(), f"{forgotten} is missing, and nobody notices"


def test_the_laws_are_exact_on_integers() -> None:
    """Size 16, so sqrt(n) = 4, and small integers: no operation rounds. Equations (1) and (3)."""
    rng = np.random.default_rng(4)
    signs = signs_of(16, 7)
    w, v = rng.integers(-40, 41, (2, 16, 16)).astype(np.float64)
    x = rng.integers(-40, 41, (16, 3)).astype(np.float64)
    r = (hadamard_matrix(16).astype(np.float64) * signs) / 4
    assert (r.T @ r == np.eye(16)).all(), "R is orthogonal"
    assert (rotate_inputs(w, signs) == w @ r.T).all(), "W R^T"
    assert (rotate_outputs(w, signs) == r @ w).all(), "R W"
    assert (rotate_inputs(w, signs) @ (r @ x) == w @ x).all(), "(W R^T)(R x) = W x"
    assert ((rotate_outputs(w, signs) @ x) == r @ (w @ x)).all(), "(R W) x = R (W x)"
    assert ((r @ x).T @ (r @ x) == x.T @ x).all(), "(R q) (R k) = q k, and lengths"
    assert (rotate_inputs(w, signs) @ rotate_outputs(v, signs) == w @ v).all(), "R2 between v and o"


def test_runs_are_rotated_one_by_one() -> None:
    """Two heads of 4: each turned for itself, by the same signs."""
    w = np.random.default_rng(0).integers(-9, 10, (8, 3)).astype(np.float64)
    signs = signs_of(4, 1)
    r = hadamard_matrix(4).astype(np.float64) * signs / 2
    both = np.block([[r, np.zeros((4, 4))], [np.zeros((4, 4)), r]])
    assert (rotate_outputs(w, signs) == both @ w).all(), "block diagonal"
    assert (rotate_inputs(w.T.copy(), signs) == w.T @ both.T).all(), "and from the other side"


def test_an_outlier_channel_disappears_from_the_weights() -> None:
    plain = fuse_norms(block(1))
    w = plain.o.copy()
    w[3] *= 100  # this row writes the outlier channel of the stream
    loud = replace(plain, o=w)
    turned = rotate_block(loud, r1=signs_of(16, 0), r2=signs_of(4, 0), r4=signs_of(24, 0))
    before, after = (np.abs(b.o).max(axis=1) for b in (loud, turned))
    assert before.max() > 20 * np.median(before), "one row sets the scale of the stream"
    assert after.max() < 2 * np.median(after), f"{after}"


def test_arguments_stay_and_bytes_are_the_same() -> None:
    plain = fuse_norms(block(2))
    copy = {name: getattr(plain, name).tobytes() for name in WEIGHTS}
    a, b = (
        rotate_block(plain, r1=signs_of(16, 0), r2=signs_of(4, 0), r4=signs_of(24, 0))
        for _ in range(2)
    )
    for name in WEIGHTS:
        assert getattr(plain, name).tobytes() == copy[name], f"{name} was changed"
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), f"{name} differs"
        assert getattr(a, name).dtype == np.float32, f"{name} is not float32"


def test_nonsense_is_refused() -> None:
    fine = fuse_norms(block(0))
    signs = {"r1": signs_of(16, 0), "r2": signs_of(4, 0), "r4": signs_of(24, 0)}
    wrong: list[tuple[Any, str]] = [
        (lambda: rotate_block(block(0), **signs), "attention_norm must be all ones"),
        (lambda: rotate_block(replace(fine, mlp_norm=f32([2] * 16)), **signs), "mlp_norm must be"),
        (lambda: rotate_block(fine, **{**signs, "r2": signs["r4"]}), "r2 must be (4,), got (24,)"),
        (lambda: replace(fine, up=fine.down), "up must be (24, 16), got (16, 24)"),
        (lambda: replace(fine, k=fine.q), "k must be (8, 16), got (16, 16)"),
        (lambda: replace(fine, q=fine.q.astype(np.float64)), "q must be finite float32"),
        (lambda: replace(fine, down=np.full((16, 24), np.nan, np.float32)), "down must be finite"),
        (lambda: replace(fine, head_size=3), "head_size must divide"),
        (lambda: fuse_norm(f32([1, 2]), f32([[1]])), "gain must have one number an input"),
        (lambda: fuse_norm(f32([3e38]), f32([[3e38]])), "a fused weight must be finite float32"),
        (lambda: rotate_inputs(np.ones((1, 6)), signs["r2"]), "signs must divide the 6 channels"),
        (lambda: rotate_inputs(np.ones((1, 6)), signs["r2"][:0]), "got 0 of them"),
        (lambda: rotate_inputs(np.ones((1, 3)), signs["r2"][:3]), "n must be K * 2**m"),
    ]
    for call, message in wrong:
        with pytest.raises(ValueError, match=re.escape(message)):
            call()
    big = replace(fine, down=np.full((16, 24), 3e38, np.float32))
    with pytest.raises(ValueError, match="down must be finite float32, but has left"):
        rotate_block(big, r1=np.ones(16, np.int8), r2=signs["r2"], r4=np.ones(24, np.int8))
