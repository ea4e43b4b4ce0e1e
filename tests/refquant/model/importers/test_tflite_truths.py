"""Comparisons, connectives, choices and casts: exact integers say what LiteRT does.

The oracle of comparisons is a Python integer for each pair of codes; who asks LiteRT itself is
``tests/outsiders/test_litert_truths.py``.
"""

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_bytes import Model
from tests.refquant.model.importers.tflite_calls import called, made

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "LESS": operator.lt, "LESS_EQUAL": operator.le, "GREATER": operator.gt,
    "GREATER_EQUAL": operator.ge, "EQUAL": operator.eq, "NOT_EQUAL": operator.ne,
}  # fmt: skip
ALL = np.arange(-128, 128).astype(np.int8)


def scaled(code: int, scale: float, zero: int) -> int:
    """256 (q - z) s: the high half of a doubled product, rounded, then 2^-e of it, ties away."""
    m, e = np.frexp(scale)
    factor = int(Fraction(float(m)) * 2**31 + Fraction(1, 2))
    high = (2 * 256 * (code - zero) * factor + (1 << 31)) >> 32 if code >= zero else -(
        (2 * 256 * (zero - code) * factor + (1 << 31) - 1) >> 32
    )  # fmt: skip
    right = -int(e)
    far = (abs(high) + ((1 << right) >> 1)) >> right
    return far if high >= 0 else -far


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize(
    ("a", "b"),
    [((0.5, 3), (0.25, -7)), ((0.001, 0), (0.001, 0)), ((2.0**-9, 5), (2.0**-8, -128)),
     ((0.99999994, 127), (1e-7, 0))],
)  # fmt: skip
def test_every_pair_of_codes(op: str, a: tuple[float, int], b: tuple[float, int]) -> None:
    m = Model()
    x, y = (m.tensor((1, *shape), scale=s, zero_point=z, name=n)
            for n, shape, (s, z) in (("x", (256, 1), a), ("y", (256,), b)))  # fmt: skip
    out = m.tensor((1, 256, 256), "bool", name="out")
    m.op(op, [x, y], [out])
    graph = called(m, [x, y], [out], "xnnpack")
    (found,) = run(graph, {"x": ALL.reshape(1, 256, 1), "y": ALL[None]}).values()
    left, right = ([scaled(int(q), float(np.float32(s)), z) for q in ALL] for s, z in (a, b))
    expected = [[OPERATORS[op](p, q) for q in right] for p in left]
    assert np.array_equal(found[0], np.array(expected)), "one integer for each code"


def test_small_scales_have_codes_that_are_equal() -> None:
    """256 * 1 * 0.001 rounds to 0, 256 * 2 * 0.001 to 1: code 0 equals 1, and 1 is less than 2."""
    m = Model()
    x = m.tensor((1, 3), scale=0.001, name="x")
    k = m.tensor((1,), values=[1], scale=0.001)
    y = m.tensor((1, 3), "bool")
    m.op("EQUAL", [x, k], [y])
    q = np.array([[0, 1, 2]], np.int8)
    assert made(m, [x], y, "tflite_reference", q).tolist() == [[1, 1, 0]], "as LiteRT says"


@pytest.mark.parametrize("op", ["LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT"])
def test_connectives(op: str) -> None:
    m, two = Model(), op != "LOGICAL_NOT"
    x = m.tensor((1, 4), "bool", name="x")
    ends = [x, m.tensor((4,), "bool", values=[0, 1, 0, 1])][: 1 + two]
    y = m.tensor((1, 4), "bool")
    m.op(op, ends, [y])
    q = np.array([[0, 0, 1, 1]], np.uint8)
    expected = {"LOGICAL_AND": [0, 0, 0, 1], "LOGICAL_OR": [0, 1, 1, 1]}.get(op, [1, 1, 0, 0])
    assert made(m, [x], y, "xnnpack", q).tolist() == [expected], "a constant is a truth, too"


@pytest.mark.parametrize("kind", ["int8", "int16", "float32", "int32", "bool"])
def test_a_choice_copies_what_is_there(kind: str) -> None:
    """Codes stay codes, although the second means something else."""
    m = Model()
    own: dict[str, Any] = {"int8": {"scale": 0.5, "zero_point": 3}, "int16": {"scale": 0.5}}
    c = m.tensor((1, 4), "bool", name="c")
    x = m.tensor((1, 4), kind, name="x", **own.get(kind, {}))
    other = {"scale": 0.125, "zero_point": -9} if kind == "int8" else own.get(kind, {})
    z = m.tensor((4,), kind, values=[1, 0, 1, 1], **other)
    y = m.tensor((1, 4), kind, **own.get(kind, {}))
    m.op("SELECT_V2", [c, x, z], [y])
    graph = called(m, [c, x], [y], "xnnpack")
    given = np.array([[0, 1, 0, 0]]).astype(graph.values["x"].dtype)
    (found,) = run(graph, {"c": np.array([[1, 0, 0, 1]], np.uint8), "x": given}).values()
    assert found.tolist() == [[0, 0, 1, 0]], "by the truths"


CASTS: dict[tuple[str, str], tuple[list[float], list[float]]] = {
    ("float32", "int8"): ([1.9, -1.9, 127.5, -200, np.nan, np.inf], [1, -1, 127, -128, 127, 127]),
    ("float32", "int16"): ([-0.9, 4e4, -4e4, np.nan, 2.5, 9], [0, 32767, -32768, 32767, 2, 9]),
    ("float32", "int32"): (
        [-1.9, 2.0**31, -3e9, np.nan, 2147483520, 0],
        [-1, 2**31 - 1, -(2**31), 2**31 - 1, 2147483520, 0],
    ),
    ("float32", "bool"): ([0, -0.0, 1e-40, np.nan, -1, 2], [0, 0, 1, 1, 1, 1]),
    ("int8", "float32"): ([-128, -1, 0, 1, 5, 127], [-128, -1, 0, 1, 5, 127]),
    ("int8", "int32"): ([-128, -1, 0, 1, 5, 127], [-128, -1, 0, 1, 5, 127]),
    ("int8", "bool"): ([-128, -1, 0, 1, 5, 127], [1, 1, 0, 1, 1, 1]),
    ("int8", "int16"): ([-128, -1, 0, 1, 5, 127], [-128, -1, 0, 1, 5, 127]),
    ("int16", "int32"): ([-32768, -1, 0, 1, 5, 32767], [-32768, -1, 0, 1, 5, 32767]),
    ("bool", "float32"): ([0, 1, 1, 0, 1, 0], [0, 1, 1, 0, 1, 0]),
    ("int32", "float32"): ([0, 2**24 + 1, -1, 7, 8, 9], [0, 2**24, -1, 7, 8, 9]),
    ("int32", "int32"): ([0, 5, -1, 7, 8, 9], [0, 5, -1, 7, 8, 9]),
}


@pytest.mark.parametrize("case", CASTS)
def test_casts(case: tuple[str, str]) -> None:
    m, (values, expected) = Model(), CASTS[case]
    own: dict[str, Any] = {"int8": {"scale": 0.5, "zero_point": 5}, "int16": {"scale": 0.25}}
    x, y = (m.tensor((1, 6), kind, name=n, **own.get(kind, {}))
            for kind, n in zip(case, "xy", strict=True))  # fmt: skip
    m.op("CAST", [x], [y])
    graph = called(m, [x], [y], "tflite_reference")
    q = np.array([values]).astype(graph.values["x"].dtype)
    assert made(m, [x], y, "tflite_reference", q).tolist() == [expected], "by hand"


def refused(case: str) -> tuple[Model, list[int], int]:
    m = Model()
    x = m.tensor((1, 4), name="x", scale=2.0 if case == "a scale of 2" else 0.5)
    y = m.tensor((1, 4), "bool")
    if case == "a scale of 2":
        m.op("LESS", [x, x], [y])
    elif case == "two kinds":
        m.op("LESS", [x, m.tensor((4,), "float32", values=[0] * 4)], [y])
    elif case == "int16 of two scales":
        x = m.tensor((1, 4), "int16", name="x", scale=0.5)
        m.op("EQUAL", [x, m.tensor((4,), "int16", values=[0] * 4, scale=0.25)], [y])
    elif case == "rows":
        x = m.tensor((1, 4), name="z", scale=0.5)
        c, y = m.tensor((1,), "bool", values=[1]), m.tensor((1, 4), scale=0.5)
        m.op("SELECT", [c, x, x], [y])
    elif case == "truths of codes":
        m.op("LOGICAL_NOT", [x], [y])
    elif case == "far integers":
        x = m.tensor((1, 4), "int64", name="w")
        m.op("LESS", [x, m.tensor((1,), "int64", values=[2**31])], [y])
    elif case == "codes of integers":
        x, y = m.tensor((1, 4), "int32", name="w"), m.tensor((1, 4), scale=0.5)
        m.op("CAST", [x], [y])
    else:
        y = m.tensor((1, 4), "uint8")
        m.op("CAST", [x], [y])
    return m, [x], y


REFUSED = {
    "a scale of 2": "compares codes of the scale 2.0, from 1 on",
    "two kinds": "compares int8 and float32",
    "int16 of two scales": "compares int16 codes of two scales",
    "rows": "chooses rows of",
    "truths of codes": "computes with 'x', of int8",
    "far integers": "integers beyond int32",
    "codes of integers": "makes codes of int32",
    "plain 8 bits": "makes uint8 of int8",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_known_is_named(case: str) -> None:
    m, ends, y = refused(case)
    with pytest.raises(ModelFileError, match=REFUSED[case]):
        called(m, ends, [y], "xnnpack")
