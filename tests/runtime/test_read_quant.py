"""QUANT of version 2: tables, scales of codes, float zero points, g_idx; every rule at its edge."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant_runtime import FormatError
from refquant_runtime.graph import Value
from refquant_runtime.read_values import ValueReader

TABLE = [0.0, 1.0, np.nan, 6.0]
TENSORS: dict[str, NDArray[Any]] = {
    "w": np.array([0b11010100, 0b0001], np.uint8),  # uint2: 0 1 1 3 1 0, as (2, 3)
    "hole": np.array([0b10, 0], np.uint8),
    "wide": np.zeros((2, 3), np.int16),
    "t": np.array(TABLE, np.float32),
    "inf": np.array([0, 1, 2, np.inf], np.float32),
    "long": np.zeros(8, np.float32),
    "s": np.array([[0.5, 0], [1e-40, 2]], np.float32),
    "bad": np.array([[0.5, -1], [1, 2]], np.float32),
    "nan": np.array([[0.5, np.nan], [1, 2]], np.float32),
    "plus": np.full((2, 2), 0.5, np.float32),
    "f": np.array([[0.5, -7], [300, 1]], np.float32),
    "wild": np.array([[0.5, np.inf], [300, 1]], np.float32),
    "c": np.array([[0, 1], [3, 1]], np.uint8),
    "c2": np.array([[0, 1], [2, 1]], np.uint8),
    "t256": np.array(TABLE + [np.nan] * 252, np.float32),
    "g": np.array([[1, 0, 0]], np.int32),
    "far": np.array([[2, 0, 0]], np.int32),
    "often": np.array([[1, 1, 0]], np.int32),
    "line": np.array([0, 0, 1], np.int32),
    "rows": np.array([[1], [0]], np.int32),
    "grow": np.array([[1, 0]], np.int32),
}
SCALES: dict[str, Any] = {
    "dtype": "uint8", "shape": [2, 2], "quant": {"scale": 0.75, "zero_point": 0, "table": "t256"},
}  # fmt: skip
ENTRIES: dict[str, Any] = {
    "c": SCALES,
    "c2": SCALES,
    "k": SCALES | {"quant": {"scale": 0.25, "zero_point": 0}},
    "deep": SCALES | {"quant": {"scale": "c", "zero_point": 0, "block_shape": [1, 1]}},
    "self": SCALES | {"quant": {"scale": "self", "zero_point": 0, "block_shape": [1, 1]}},
    "flat": SCALES | {"shape": [4]},
}
TENSORS |= {"k": TENSORS["c"] + 1, "deep": TENSORS["c"], "self": TENSORS["c"]}
TENSORS |= {"flat": TENSORS["c"].reshape(4)}


def read(name: str = "w", dtype: str = "uint2", **quant: Any) -> Value:
    entry = {"dtype": dtype, "shape": [2, 3], "quant": {"zero_point": 0} | quant}
    reader = ValueReader(Path("m.rq"), TENSORS, copy.deepcopy(ENTRIES), signs=False)
    return reader.value(name, entry)


def test_scales_of_codes_are_decoded() -> None:
    quant = read(scale="c", block_shape=[1, 2], table="t").quant
    assert quant is not None, "codes"
    assert quant.scale.tolist() == [[0.0, 0.75], [4.5, 0.75]], "table times scale"
    assert quant.table is TENSORS["t"], "its own table"
    quant = read(scale="k", block_shape=[1, 2]).quant
    assert quant is not None, "codes"
    assert quant.scale.tolist() == [[0.25, 0.5], [1.0, 0.5]], "on a ruler"
    assert quant.plain, "integers on rulers, whatever the scales were"


def test_each_may_be_there_alone_or_beside_another() -> None:
    for more in (
        {"scale": 0.5, "table": "t"}, {"scale": 0, "table": "t"},
        {"scale": "s", "block_shape": [1, 2], "table": "t"},
        {"scale": "plus", "zero_point": "f", "block_shape": [1, 2]},
        {"scale": 0.5, "zero_point": "f", "block_shape": [1, 2]},
        {"scale": "plus", "block_shape": [1, 2], "g_idx": "g"},
        {"scale": "plus", "block_shape": [1, 2], "g_idx": "g", "table": "t"},
    ):  # fmt: skip
        quant = read(**more).quant
        assert quant is not None, "codes"
        assert not quant.plain, f"no integer arithmetic with {more}"


BLOCKS: dict[str, Any] = {"scale": "plus", "block_shape": [1, 2]}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a table of the wrong length": ({"scale": 1, "table": "long"}, r"expected float32\[4\]"),
    "no table": ({"scale": 1, "table": "none"}, "'none' is absent"),
    "a table of integers": ({"scale": 1, "table": "line"}, r"is int32\[3\], expected float32"),
    "a table without a name": ({"scale": 1, "table": 7}, "7 is not of type str"),
    "infinite": ({"scale": 1, "table": "inf"}, "'inf' has an infinite entry"),
    "a code of nothing": ({"name": "hole", "scale": 1, "table": "t"}, "its entry .* is NaN"),
    "a scale of nothing": (
        {"scale": "c2", "block_shape": [1, 2], "table": "t"},
        r"a code has no meaning",
    ),
    "signed": ({"dtype": "int2", "scale": 1, "table": "t"}, "unsigned codes and the zero point 0"),
    "zero point": ({"scale": 1, "zero_point": 1, "table": "t"}, "the zero point 0"),
    "zero points": (BLOCKS | {"zero_point": "f", "table": "t"}, "the zero point 0"),
    "negative": ({"scale": -1, "table": "t"}, "not finite, or negative beside a table"),
    "a negative one": ({"scale": "bad", "block_shape": [1, 2], "table": "t"}, "negative beside"),
    "a NaN": ({"scale": "nan", "block_shape": [1, 2], "table": "t"}, "not finite"),
    "infinite product": ({"scale": 2.0**127, "table": "t"}, "may mean an infinity"),
    "infinite difference": (
        {"scale": 2.0**126, "zero_point": "f", "block_shape": [1, 2]}, "may mean an infinity",
    ),
    "infinite zero point": (BLOCKS | {"zero_point": "wild"}, "a zero point is not finite"),
    "wide": ({"name": "wide", "dtype": "int16", **BLOCKS, "g_idx": "g"}, "at most 8 bits"),
    "wide zero": ({"name": "wide", "dtype": "int16", **BLOCKS, "zero_point": "f"}, "at most 8"),
    "computed": ({"name": "x", "dtype": "uint8", "scale": 1, "table": "t"}, "is no constant"),
    "scales in scales": ({"scale": "deep", "block_shape": [1, 2]}, "'deep' are codes, too"),
    "a scale of itself": ({"scale": "self", "block_shape": [1, 2]}, "'self' are codes, too"),
    "scales elsewhere": ({"scale": "flat", "block_shape": [1, 2]}, r"uint8\[4\], expected a cons"),
    "groups of what": ({"scale": 1, "g_idx": "g"}, "beside a block_shape"),
    "no groups": (BLOCKS | {"g_idx": "none"}, "'none' is an int32 tensor"),
    "real groups": (BLOCKS | {"g_idx": "plus"}, "'plus' is an int32 tensor"),
    "groups without a name": (BLOCKS | {"g_idx": [0, 0, 1]}, "is not of type str"),
    "a group out of range": (BLOCKS | {"g_idx": "far"}, "does not have each of the 2 groups 2 ti"),
    "a group too often": (BLOCKS | {"g_idx": "often"}, "does not have each of the 2 groups"),
    "groups in a line": (BLOCKS | {"g_idx": "line"}, r"\[3\] is not 1 but on an axis of \[2, 3\]"),
    "too few": (BLOCKS | {"g_idx": "grow"}, r"\[1, 2\] is not 1 but on an axis"),
    "zeros of another shape": (
        {"scale": 1, "zero_point": "f", "block_shape": [2, 2]}, "zero_point 'f' is float32",
    ),
    "another key": (BLOCKS | {"tables": "t"}, "unknown key 'tables'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_broken_rule_is_named(case: str) -> None:
    options, rule = BAD[case]
    with pytest.raises(FormatError, match=rf"m\.rq: value .*{rule}"):
        read(**options)


def test_rows_may_be_grouped_too() -> None:
    quant = read(scale="plus", block_shape=[1, 2], g_idx="rows").quant
    assert quant is not None, "two rows, each a block of its own, in the other order"
