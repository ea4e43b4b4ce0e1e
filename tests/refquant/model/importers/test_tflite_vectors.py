"""L2_NORMALIZATION and LOG_SOFTMAX: float64 beside reals, codes of LiteRT 2.3.0 beside codes."""

from typing import Any

import numpy as np
import pytest

from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_bytes import Model
from tests.refquant.model.importers.tflite_calls import called, made

ENDS: dict[str, dict[str, Any]] = {
    "L2_NORMALIZATION": {"scale": 2.0**-7},
    "LOG_SOFTMAX": {"scale": 2.0**-4, "zero_point": 127},
}


def vectors(op: str, dtype: str = "int8", **own: Any) -> tuple[Model, int, int]:
    m = Model()
    given: dict[str, Any] = {"scale": 0.25, "zero_point": 5} if dtype == "int8" else {}
    x = m.tensor((1, 2, 4), dtype, name="x", **given)
    y = m.tensor((1, 2, 4), dtype, **(own or (ENDS[op] if given else {})))
    m.op(op, [x], [y])
    return m, x, y


def test_reals() -> None:
    """Four terms and five operations of half an ulp each, and Exp and Log of two: 2^-20."""
    rng = np.random.default_rng(2)
    q = rng.normal(size=(3, 2, 4)).astype(np.float32)
    q[0, 0] = 0
    wide = q.astype(np.float64)
    length = np.maximum(np.sqrt((wide**2).sum(-1, keepdims=True)), 1e-6)
    below = wide - wide.max(-1, keepdims=True)
    exact = {
        "L2_NORMALIZATION": wide / length,
        "LOG_SOFTMAX": below - np.log(np.exp(below).sum(-1, keepdims=True)),
    }
    for op, expected in exact.items():
        m, x, y = vectors(op, "float32")
        got = made(m, [x], y, "xnnpack", q)
        assert np.abs(got - expected).max() < 2.0**-20 * np.abs(expected).max(), op


LITERT = {
    "L2_NORMALIZATION": [[[34, 68, -103, 0], [-67, 61, -66, 62]]],
    "LOG_SOFTMAX": [[[107, 111, 91, 103], [-128, 114, -128, 118]]],
}


@pytest.mark.parametrize("op", LITERT)
def test_codes_of_litert(op: str) -> None:
    m, x, y = vectors(op)
    q = np.array([[[6, 7, 2, 5], [-128, 126, -126, 127]]], np.int8)
    assert made(m, [x], y, "xnnpack", q).tolist() == LITERT[op], "2.3.0 on x86"


def test_the_same_in_every_tool() -> None:
    m, x, y = vectors("L2_NORMALIZATION")
    graphs = [called(m, [x], [y], tool) for tool in ("xnnpack", "tflite_reference")]
    assert [[n.op for n in g.nodes] for g in graphs] == [["L2Normalization"]] * 2, "one operator"


REFUSED: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "another scale": ("L2_NORMALIZATION", "xnnpack", {"scale": 0.5}, "has the output scale 0.5"),
    "another zero": ("LOG_SOFTMAX", "xnnpack", {"scale": 2.0**-4}, "has the output scale 0.0625"),
    "by fixed point": ("LOG_SOFTMAX", "tflite_reference", {}, "a logarithm in fixed point"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_known_is_named(case: str) -> None:
    op, tool, own, message = REFUSED[case]
    m, x, y = vectors(op, **own)
    with pytest.raises(ModelFileError, match=message):
        called(m, [x], [y], tool)


def test_one_axis_or_a_fused_activation_is_not_known() -> None:
    m, x, y = vectors("L2_NORMALIZATION")
    m.operators[0] = ("L2_NORMALIZATION", [x], [y], {"FusedActivationFunction": 1})
    with pytest.raises(ModelFileError, match="fused activation"):
        called(m, [x], [y], "xnnpack")
    m = Model()
    x, y = m.tensor((4,), scale=0.5, name="x"), m.tensor((4,), scale=2.0**-4, zero_point=127)
    m.op("LOG_SOFTMAX", [x], [y])
    with pytest.raises(ModelFileError, match="which has one axis"):
        called(m, [x], [y], "xnnpack")
