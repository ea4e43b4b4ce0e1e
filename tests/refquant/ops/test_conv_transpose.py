"""Transposed convolution by its definition, eq. (1): each element adds its kernel."""

import itertools
from typing import Any

import numpy as np
import pytest

from refquant.ops.conv_transpose import conv_transpose, transposed_pads

CASES: dict[str, tuple[Any, ...]] = {
    # x, w, strides, pads, dilations, output padding, group
    "plain": ((2, 3, 4), (3, 2, 3), (1,), (0, 0), (1,), (0,), 1),
    "strides": ((1, 2, 5), (2, 3, 3), (3,), (1, 0), (1,), (2,), 1),
    "dilated": ((1, 2, 5), (2, 3, 3), (2,), (2, 4), (2,), (1,), 1),
    "groups": ((1, 4, 3), (4, 3, 2), (2,), (0, 1), (1,), (0,), 2),
    "2-D": ((2, 2, 3, 4), (2, 2, 2, 3), (2, 1), (0, 1, 1, 2), (1, 1), (0, 0), 1),
}


def scattered(
    x: Any, w: Any, strides: Any, pads: Any, dilations: Any, extra: Any, group: int
) -> Any:
    """Eq. (1) in float64, integers: exact."""
    rank, per = len(strides), w.shape[1]
    sizes = [
        s * (n - 1) + e + d * (k - 1) + 1 - pads[i] - pads[rank + i]
        for i, (s, n, e, d, k) in enumerate(
            zip(strides, x.shape[2:], extra, dilations, w.shape[2:], strict=True)
        )
    ]
    y = np.zeros((x.shape[0], per * group, *sizes))
    inputs = x.shape[1] // group
    for n, c in itertools.product(range(x.shape[0]), range(x.shape[1])):
        for place in np.ndindex(*x.shape[2:]):
            for m, tap in itertools.product(range(per), np.ndindex(*w.shape[2:])):
                o = [
                    i * s + k * d - p
                    for i, s, k, d, p in zip(place, strides, tap, dilations, pads, strict=False)
                ]
                if all(0 <= a < b for a, b in zip(o, sizes, strict=True)):
                    y[(n, c // inputs * per + m, *o)] += x[(n, c, *place)] * w[(c, m, *tap)]
    return y


@pytest.mark.parametrize("name", CASES)
def test_every_element_adds_its_kernel(name: str) -> None:
    shape, kernel, strides, pads, dilations, extra, group = CASES[name]
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-9, 10, s).astype(np.float32) for s in (shape, kernel))
    bias = rng.integers(-9, 10, kernel[1] * group).astype(np.float32)
    expected = scattered(x, w, strides, pads, dilations, extra, group)
    given = {"strides": strides, "pads": pads, "dilations": dilations, "output_padding": extra}
    got = conv_transpose(x, w, bias, **given, group=group)
    wide = bias.reshape(-1, *(1,) * (len(shape) - 2))
    assert np.array_equal(got, expected + wide), "integers below 2^24 are exact"


def test_what_is_refused() -> None:
    x, w = np.zeros((1, 2, 3), np.float32), np.zeros((2, 1, 3), np.float32)
    with pytest.raises(ValueError, match=r"pads are at most .* = \[2\], got \(3, 0\)"):
        conv_transpose(x, w, pads=[3, 0])
    with pytest.raises(ValueError, match="group divides C = 2, got 3"):
        conv_transpose(x, w, group=3)
    with pytest.raises(ValueError, match="w \\(C, M/group, kernel\\)"):
        conv_transpose(x, np.zeros((3, 1, 3), np.float32))
    assert transposed_pads((2, 3), None, (1, 2), (0, 1)) == (1, 4, 1, 5), "d (k - 1), and the end"
