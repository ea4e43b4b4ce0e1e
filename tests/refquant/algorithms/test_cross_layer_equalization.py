"""Cross-layer equalization: equal ranges, the same function, and what cannot be equalized."""

import math
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.algorithms import cross_layer_equalization as cle
from refquant.algorithms.cross_layer_equalization import (
    Linear,
    absorb_high_bias,
    equalize_pair,
    equalize_triple,
    input_ranges,
    output_ranges,
)

U = 2.0**-24  # unit roundoff of float32


def f32(values: Any) -> np.ndarray:
    return np.array(values, np.float32)


def biases(layer: Linear) -> Any:
    return None if layer.bias is None else layer.bias.tolist()


def draw(seed: int, *shape: int, groups: int = 1, bias: bool = True) -> Linear:
    """A layer whose channels differ in range by up to 2**12."""
    rng = np.random.default_rng(seed)
    spread = np.exp2(rng.uniform(-6, 6, shape))
    w = (rng.standard_normal(shape) * spread).astype(np.float32)
    return Linear(w, rng.standard_normal(shape[0]).astype(np.float32) if bias else None, groups)


def exact_ranges(layer: Linear, *, inputs: bool) -> list[Fraction]:
    """The oracle: loops over every weight, in Python."""
    outputs, width = layer.weight.shape[:2]
    per_group = outputs // layer.groups
    best = [Fraction(0)] * (width * layer.groups if inputs else outputs)
    for index in np.ndindex(*layer.weight.shape):
        size = abs(Fraction(float(layer.weight[index])))
        channel = index[1] + width * (index[0] // per_group) if inputs else index[0]
        best[channel] = max(best[channel], size)
    return best


LAYERS = [((3, 4), 1), ((6, 2), 3), ((6, 1, 3, 3), 6), ((4, 1, 2), 2), ((2, 5, 3, 1), 1)]


@pytest.mark.parametrize(("shape", "groups"), LAYERS)
def test_ranges_are_those_of_the_oracle(shape: tuple[int, ...], groups: int) -> None:
    layer = draw(1, *shape, groups=groups)
    for inputs, got in ((True, input_ranges(layer)), (False, output_ranges(layer))):
        expected = [float(r) for r in exact_ranges(layer, inputs=inputs)]
        assert got.tolist() == expected, f"{shape} in {groups} groups, inputs {inputs}"


@given(st.integers(0, 2**32 - 1), st.sampled_from([((3, 5), 1), ((10, 1, 2, 2), 5), ((4, 5), 1)]))
def test_a_pair_has_equal_ranges_within_the_rounding_of_weights(seed: int, shape: Any) -> None:
    """r1 / s and r2 s are equal in the reals; s has an error of 2u64, each weight rounds once."""
    first, second = draw(seed, 5, 4), draw(seed + 1, *shape[0], groups=shape[1], bias=False)
    a, b, _ = equalize_pair(first, second)
    ratio = output_ranges(a) / input_ranges(b)
    assert np.abs(ratio - 1).max() <= 2.01 * U, f"{ratio}"


@given(st.integers(0, 2**32 - 1))
def test_a_triple_has_three_equal_ranges(seed: int) -> None:
    """As above; the depthwise weight is rounded twice, by s12 and by s23."""
    layers = draw(seed, 4, 3, 2), draw(seed + 1, 4, 1, 3, groups=4), draw(seed + 2, 5, 4, 1)
    a, b, c, _, _ = equalize_triple(*layers)
    ranges = np.stack([output_ranges(a), output_ranges(b), input_ranges(c)])
    assert (ranges.max(axis=0) / ranges.min(axis=0) - 1).max() <= 3.01 * U, f"{ranges}"


def dot(layer: Linear, x: list[Fraction]) -> list[Fraction]:
    """W x + b in exact rationals; kernels have one element."""
    w = layer.weight.reshape(layer.weight.shape[0], -1)
    bias = biases(layer) or [0.0] * w.shape[0]
    if layer.groups > 1:  # depthwise
        return [Fraction(v) * Fraction(float(w[i, 0])) + Fraction(bias[i]) for i, v in enumerate(x)]
    rows = [[Fraction(float(v)) for v in row] for row in w]
    return [
        sum((a * b for a, b in zip(row, x, strict=True)), Fraction(0)) + Fraction(bias[i])
        for i, row in enumerate(rows)
    ]


def relu(x: list[Fraction]) -> list[Fraction]:
    return [max(v, Fraction(0)) for v in x]


def absolute(layer: Linear) -> Linear:
    return Linear(np.abs(layer.weight), None if layer.bias is None else np.abs(layer.bias),
                  layer.groups)  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_the_function_is_the_same_within_the_rounding_of_the_weights(seed: int) -> None:
    """Each constant moves by at most u of itself, twice for the depthwise one (and b2 with W2).

    All functions are monotone in the sizes, so the output moves by at most (1 + u)^4 - 1 of the
    network of absolute values at |x|.
    """
    layers = draw(seed, 4, 3), draw(seed + 9, 4, 1, groups=4), draw(seed + 5, 2, 4)
    new = equalize_triple(*layers)[:3]
    x = [Fraction(float(v)) for v in np.random.default_rng(seed).standard_normal(3)]
    y, z, size = x, x, [abs(v) for v in x]
    for old, changed in zip(layers, new, strict=True):
        y, z, size = dot(old, relu(y)), dot(changed, relu(z)), dot(absolute(old), size)
        if old is layers[0]:  # the input itself is no Relu's
            y, z = dot(old, x), dot(changed, x)
    for i, (a, b, s) in enumerate(zip(y, z, size, strict=True)):
        assert abs(a - b) <= Fraction((1 + 1.001 * U) ** 4 - 1) * s, f"output {i}: {float(a - b)}"


def test_powers_of_four_are_exact() -> None:
    """Ranges 64 and 4: s = 4, and no bit of the mantissas changes."""
    first, second = Linear(f32([[64, -3]]), f32([5])), Linear(f32([[4], [1]]), f32([1, 2]))
    a, b, s = equalize_pair(first, second)
    assert s.tolist() == [4.0], "sqrt(64 / 4)"
    assert (a.weight.tolist(), b.weight.tolist()) == ([[16, -0.75]], [[16], [4]]), "both reach 16"
    assert (biases(a), biases(b)) == ([1.25], [1, 2]), "the last bias stays"


def test_alternating_pairs_reach_the_cube_root() -> None:
    """Equation (3) is the fixed point of equation (2) on both neighbours, channel by channel."""
    layers = draw(3, 4, 3), draw(4, 4, 1, groups=4), draw(5, 5, 4)
    direct = equalize_triple(*layers)[:3]
    a, b, c = layers
    for _ in range(40):  # the distance to the fixed point is quartered each time
        a, b, _ = equalize_pair(a, b)
        b, c, _ = equalize_pair(b, c)
    for got, expected in zip((a, b, c), direct, strict=True):
        # 40 steps of two roundings; nearly all of them at the fixed point, where s is 1 +- u.
        ratio = got.weight / expected.weight
        assert np.abs(ratio - 1).max() <= 90 * U, f"{np.abs(ratio - 1).max() / U} u"


@pytest.mark.parametrize("dead", ["row", "column", "both"])
def test_a_channel_without_weights_is_left_alone(dead: str) -> None:
    w1, w2 = np.full((2, 3), 8, np.float32), np.full((3, 2), 2, np.float32)
    if dead != "column":
        w1[0] = 0
    if dead != "row":
        w2[:, 0] = 0
    a, b, s = equalize_pair(Linear(w1, f32([7, 7])), Linear(w2, None))
    assert s.tolist() == [1, 2], f"{dead}: {s}"
    assert biases(a) == [7, 3.5], "its bias stays, too"
    assert b.weight[0].tolist() == [w2[0, 0], 4], "and so does its column"


def test_ranges_from_end_to_end_of_float32() -> None:
    """In float32, the product of the ranges would be 0 or infinity."""
    tiny, large = np.float32(2.0**-149), np.finfo(np.float32).max
    a, b, s = equalize_pair(Linear(f32([[tiny]]), None), Linear(f32([[tiny]]), None))
    assert (a.weight.item(), b.weight.item(), s.item()) == (float(tiny), float(tiny), 1), "0 / 0"
    a, b, _ = equalize_pair(Linear(f32([[large]]), None), Linear(f32([[large]]), None))
    assert (a.weight.item(), b.weight.item()) == (float(large),) * 2, "infinity / infinity"
    a, b, s = equalize_pair(Linear(f32([[2.0**100]]), None), Linear(f32([[2.0**-100]]), None))
    assert (a.weight.item(), b.weight.item(), s.item()) == (1, 1, 2.0**100), "met in the middle"


def test_the_cube_root_is_within_two_ulp() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([np.exp2(rng.uniform(-400, 380, 300)), [1.0, 8.0, 27.0, 0.125]])
    for value, root in zip(x.tolist(), cle._cube_root(x).tolist(), strict=True):
        ulp = math.ulp(root)
        low, high = (Fraction(root + k * ulp) ** 3 for k in (-2, 2))
        assert low <= Fraction(value) <= high, f"cube root of {value}: {root}"


def test_absorbing_by_hand() -> None:
    """c = [max(0, 4 - 3), max(0, 1 - 6)] = [1, 0]; outputs get sums of their kernels times c."""
    first = Linear(f32([[1], [1]]), f32([4, 1]))
    second = Linear(f32([[[1, 2], [5, 5]], [[0, -4], [7, 7]]]), f32([10, 20]))
    a, b, c = absorb_high_bias(first, second, mean=np.array([4.0, 1.0]), std=np.array([-1.0, 2.0]))
    assert c.tolist() == [1, 0], "a deviation may come with a sign: it is batch normalization's"
    assert biases(a) == [3, 1], "b1 - c"
    assert biases(b) == [13, 16], "10 + (1 + 2), 20 + (0 - 4)"
    assert a.weight is first.weight, "weights stay"
    assert b.weight is second.weight, "weights stay"


def test_absorbing_depthwise() -> None:
    first = Linear(f32([[1], [1]]), None)
    second = Linear(f32([[[3]], [[5]]]), None, groups=2)
    _, b, _ = absorb_high_bias(first, second, mean=np.array([1.0, 2.0]), std=np.zeros(2))
    assert biases(b) == [3, 10], "each channel has its own c"


def test_absorbing_keeps_what_is_above_c() -> None:
    """All numbers are small integers: equal bit for bit, for every x with W1 x + b1 >= c."""
    first = Linear(f32([[2, 1], [0, 3]]), f32([8, 6]))
    second = Linear(f32([[1, -2], [4, 5]]), f32([1, 1]))
    a, b, c = absorb_high_bias(first, second, mean=np.array([7.0, 9.0]), std=np.array([1.0, 2.0]))
    assert c.tolist() == [4, 3], "7 - 3, 9 - 6"
    for x in ((-1.0, 0.0), (-2.0, 0.0), (0.0, -1.0), (3.0, 2.0)):
        point = [Fraction(v) for v in x]
        y, z = dot(second, relu(dot(first, point))), dot(b, relu(dot(a, point)))
        assert y == z, f"x = {x}: {y} and {z}"
    below = [Fraction(-3), Fraction(0)]
    assert dot(second, relu(dot(first, below))) != dot(b, relu(dot(a, below))), "2 < c: it differs"


WRONG = [
    (lambda: Linear(np.ones((2, 2), np.float64), None), "weight must be float32"),
    (lambda: Linear(f32([1, 2]), None), "weight must be float32 (outputs, inputs, ...)"),
    (lambda: Linear(np.ones((0, 2), np.float32), None), "not empty"),
    (lambda: Linear(f32([[np.nan]]), None), "finite"),
    (lambda: Linear(f32([[1]]), f32([np.inf])), "finite"),
    (lambda: Linear(f32([[1]]), f32([1, 2])), "bias must be float32 (1,)"),
    (lambda: Linear(f32([[1], [2]]), None, groups=0), "groups must divide the 2 outputs, got 0"),
    (lambda: Linear(f32([[1], [2], [3]]), None, groups=2), "groups must divide the 3 outputs"),
    (lambda: equalize_pair(draw(0, 2, 2), draw(0, 2, 3)), "which has 2, got 3 inputs"),
    (lambda: equalize_triple(draw(0, 2, 2), draw(0, 2, 2), draw(0, 2, 2)), "must be depthwise"),
    (
        lambda: equalize_triple(draw(0, 2, 2), draw(0, 4, 1, groups=2), draw(0, 2, 4)),
        "middle must be depthwise",
    ),
    (
        lambda: equalize_pair(Linear(f32([[2.0**-149]]), f32([1e30])), Linear(f32([[1.0]]), None)),
        "must be finite float32",
    ),
    (
        lambda: absorb_high_bias(draw(0, 2, 2), draw(0, 2, 2), mean=np.ones(3), std=np.ones(2)),
        "mean and std must be (2,)",
    ),
    (
        lambda: absorb_high_bias(
            draw(0, 1, 2), draw(0, 2, 1), mean=np.array([np.nan]), std=np.ones(1)
        ),
        "finite",
    ),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_what_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
