"""The float functions have the bits of the reference, over all exponents, signs and specials."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from refquant.model.build import Builder
from refquant.model.execute import run as reference
from refquant_runtime.kernels.elementary import FUNCTIONS, apply, exp

# attributes: the kernel's a and b
ATTRIBUTES: dict[str, tuple[dict[str, float], float, float]] = {
    "Elu": ({"alpha": 0.7}, 0.7, 0),
    "LeakyRelu": ({"alpha": 0.3}, 0.3, 0),
    "Clip": ({"min": -1.5, "max": 2.25}, -1.5, 2.25),
    "HardSigmoid": ({"alpha": 0.3, "beta": 0.4}, 0.3, 0.4),
    "HardSwish": ({}, 1 / 6, 0.5),
}


@njit
def run(function: int, x: Any, y: Any, a: Any, b: Any) -> None:
    for i in range(len(x)):
        y[i] = apply(function, x[i], a, b)


def inputs() -> Any:
    """Every sign and exponent with a few mantissas, and dense stretches where curves bend."""
    exponents = np.arange(0, 256, dtype=np.uint32)[:, None] << 23
    mantissas = np.array([0, 1, 0x2AAAAA, 0x400000, 0x7FFFFF], np.uint32)
    positive = (exponents | mantissas).reshape(-1)
    both = np.concatenate([positive, positive | np.uint32(0x80000000)]).view(np.float32)
    dense = np.linspace(-110, 110, 20001, dtype=np.float32)
    return np.concatenate([both, dense, dense / 64])


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "Identity"])
def test_bits_are_those_of_the_reference(name: str) -> None:
    x = inputs()
    attributes, a, b = ATTRIBUTES.get(name, ({}, 0.0, 0.0))
    made, given = Builder("g"), dict[str, Any](attributes)
    given |= {"approximate": "tanh"} if name == "GeluTanh" else {}
    y = made.node(
        "Gelu" if name == "GeluTanh" else name, [made.input("x", x.shape)], attributes=given
    )
    with np.errstate(all="ignore"):
        expected = reference(made.graph([y]), {"x": x})[y]
    actual = np.empty_like(x)
    run(FUNCTIONS[name], x, actual, np.float32(a), np.float32(b))
    same = (actual.view(np.int32) == expected.view(np.int32)) | (
        np.isnan(actual) & np.isnan(expected)
    )
    wrong = x[~same][:5]
    assert same.all(), f"{name} differs at {wrong}: {actual[~same][:5]} {expected[~same][:5]}"


def test_exp_at_its_ends() -> None:
    ends = [88.72283, 88.7229, -103.97208, -103.973, np.inf, -np.inf, 0.0]
    values = [float(exp(np.float32(x))) for x in ends]
    assert values[1] == np.inf, "above the largest"
    assert values[3] == 0.0, "below the smallest"
    assert values[4:] == [np.inf, 0.0, 1.0], f"infinities and zero: {values[4:]}"
    assert np.isnan(exp(np.float32(np.nan))), "NaN stays NaN"
