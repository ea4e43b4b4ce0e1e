"""MAXIMUM, MINIMUM, PRELU, SQUARED_DIFFERENCE: numpy, and codes of LiteRT 2.3.0."""

from typing import Any

import numpy as np
import pytest

from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_bytes import Model
from tests.refquant.model.importers.tflite_calls import called, made

TOOLS = ["xnnpack", "tflite_reference"]
Q: dict[str, Any] = {"scale": 0.25, "zero_point": 5}
CODES = np.array([-128, -100, -75, -64, -50, -41, -40, -39, -20, -1, 0, 1, 17, 64, 100, 127])
RNG = np.random.default_rng(3)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("op", ["MAXIMUM", "MINIMUM"])
@pytest.mark.parametrize("shape", [None, (1,), (3,)])
def test_extremes_compare_codes(op: str, shape: Any, tool: str) -> None:
    m, choose = Model(), np.maximum if op == "MAXIMUM" else np.minimum
    a, b = (RNG.integers(-128, 128, (2, 4, 5, 3)).astype(np.int8) for _ in "ab")
    x = m.tensor((1, 4, 5, 3), name="x", **Q)
    held = None if shape is None else b.reshape(-1)[: shape[0]]
    other = m.tensor(shape or (1, 4, 5, 3), values=held, name="b", **Q)
    y = m.tensor((1, 4, 5, 3), **Q)
    m.op(op, [x, other], [y])
    inputs, arrays = ([x, other], [a, b]) if shape is None else ([x], [a])
    got = made(m, inputs, y, tool, *arrays)
    assert np.array_equal(got, choose(a, b if held is None else held)), "the same codes"


@pytest.mark.parametrize("op", ["MAXIMUM", "MINIMUM", "PRELU", "SQUARED_DIFFERENCE"])
def test_of_reals(op: str) -> None:
    m = Model()
    a, b = (RNG.standard_normal((2, 4, 3)).astype(np.float32) for _ in "ab")
    x, z, y = (m.tensor((1, 4, 3), "float32", name=n) for n in "xzy")
    m.op(op, [x, z], [y])
    expected = {
        "MAXIMUM": np.maximum(a, b),
        "MINIMUM": np.minimum(a, b),
        "PRELU": np.where(a >= 0, a, a * b),
        "SQUARED_DIFFERENCE": (a - b) * (a - b),
    }
    assert np.array_equal(made(m, [x, z], y, "xnnpack", a, b), expected[op]), "one rounding each"


@pytest.mark.parametrize("tool", TOOLS)
def test_prelu_is_litert_s(tool: str) -> None:
    m = Model()
    x = m.tensor((1, 8, 2), scale=0.05, zero_point=-3, name="x")
    slopes = m.tensor((2,), values=[-90, 100], scale=0.004, zero_point=11)
    y = m.tensor((1, 8, 2), scale=0.031, zero_point=9)
    m.op("PRELU", [x, slopes], [y])
    got = made(m, [x], y, tool, CODES.astype(np.int8).reshape(1, 8, 2))
    assert got.reshape(-1).tolist() == [
        90, -47, 56, -26, 40, -13, 33, -12, 20, 12, 14, 15, 41, 117, 127, 127,
    ], "a negative slope and a positive one"  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
def test_squared_difference_is_litert_s(tool: str) -> None:
    m = Model()
    x = m.tensor((1, 16), scale=0.05, zero_point=-3, name="x")
    b = m.tensor((1, 16), scale=0.0371, zero_point=20, values=CODES[::-1])
    y = m.tensor((1, 16), scale=0.31, zero_point=-100)
    m.op("SQUARED_DIFFERENCE", [x, b], [y])
    got = made(m, [x], y, tool, CODES.astype(np.int8)[None])
    assert got[0].tolist() == [
        127, 97, -12, -72, -91, -96, -96, -100, -94, -83, -81, -75, -45, 52, 127, 127,
    ], "in steps of 0.31"  # fmt: skip


def test_an_inverse_root_of_reals_is_a_quotient() -> None:
    m = Model()
    x, y = m.tensor((1, 3), "float32", name="x"), m.tensor((1, 3), "float32")
    m.op("RSQRT", [x], [y])
    a = np.array([[4, 2, 0.25]], np.float32)
    assert np.array_equal(made(m, [x], y, "xnnpack", a), 1 / np.sqrt(a)), "two roundings"


def refused(op: str, *params: tuple[float, int] | None) -> str:
    m = Model()
    ends = [
        m.tensor((1, 4), "float32") if p is None else m.tensor((1, 4), scale=p[0], zero_point=p[1])
        for p in params
    ]
    m.op(op, ends[:2], ends[2:])
    with pytest.raises(ModelFileError) as caught:
        called(m, ends[:2], ends[2:], "xnnpack")
    return str(caught.value)


def test_what_means_nothing_is_refused() -> None:
    one, two = (0.5, 0), (0.25, 0)
    assert "other parameters" in refused("MAXIMUM", one, two, one), "LiteRT compares codes"
    assert "whose reals leave float32" in refused("MINIMUM", *[(1e37, 0)] * 3), "255 e37"
    assert "mixes codes and reals" in refused("PRELU", one, None, one), "no kernel"
    assert "mixes codes and reals" in refused("SQUARED_DIFFERENCE", one, two, None), "no kernel"
    assert "takes below 1" in refused("SQUARED_DIFFERENCE", one, one, (1e-5, 0)), "too small"
    assert "too small" in refused("PRELU", (1e30, 0), one, (1e-30, 0)), "an infinite ratio"
    assert "of int8 is not known" in refused("DIV", one, one, one), "LiteRT has none"
