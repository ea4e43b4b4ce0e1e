"""Lines: what is written is read again bit for bit, and what is no reply is told by its key."""

from typing import Any

import numpy as np
import pytest

from refquant_conformance.adapters.samples import sample
from refquant_conformance.operators import OPERATORS
from refquant_conformance.protocol import Case, Rejected, Unsupported
from refquant_conformance.wire import (
    WireError,
    array_from_json,
    array_to_json,
    case_from_json,
    case_to_json,
    dumps,
    result_from_json,
)

CASE = Case(
    "quantize_linear",
    "f32_u8",
    {"x": np.array([0.5, np.nan, -0.0, np.inf], np.float32)},
    {"axis": None, "shape": (1, 2)},
    {"x": "float32", "y": "uint8"},
)


@pytest.mark.parametrize("op", OPERATORS)
def test_every_cell_goes_over_the_wire_and_back(op: str) -> None:
    for scheme in OPERATORS[op].schemes:
        case = sample(op, scheme)
        again = case_from_json(case_to_json(case, 1))
        assert dumps(case_to_json(again, 1)) == dumps(case_to_json(case, 1)), f"{op} {scheme}"
        for name, array in case.inputs.items():
            assert again.inputs[name].tobytes() == array.tobytes(), f"{op} {scheme} {name}"


def test_bytes_are_little_endian_whatever_the_array_is() -> None:
    big = np.array([1, 256], ">i4")
    assert array_to_json(big, "int32")["hex"] == "0100000000010000", "not little-endian"
    turned = np.asfortranarray(np.array([[1, 2], [3, 4]], np.uint8))
    assert array_to_json(turned, "uint8")["hex"] == "01020304", "not in C order"
    empty = array_from_json({"shape": [0, 3], "hex": ""}, "y", "float32")
    assert (empty.shape, empty.dtype.name) == ((0, 3), "float32"), f"{empty}"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (3, "an object"),
        ({"type": "int8", "shape": [1], "hex": "00"}, "type 'int8', wanted 'uint8'"),
        ({"shape": [1]}, "hexadecimal"),
        ({"shape": [1], "hex": "0g"}, "hexadecimal"),
        ({"shape": [1], "hex": "0"}, "hexadecimal"),
        ({"shape": [1], "hex": 0}, "hexadecimal"),
        ({"shape": [2], "hex": "00"}, "has 1 bytes"),
        ({"shape": 1, "hex": "00"}, "list of sizes"),
        ({"shape": [True], "hex": "00"}, "list of sizes"),
        ({"shape": [-1], "hex": "00"}, "list of sizes"),
        ({"shape": [1.0], "hex": "00"}, "list of sizes"),
        ({"shape": [0, 10**30], "hex": ""}, "y.shape is"),
        ({"shape": [1] * 70, "hex": "00"}, "y.shape is"),
        ({"hex": "00"}, "list of sizes"),
    ],
)
def test_a_wrong_array_is_told_by_its_key(value: Any, word: str) -> None:
    with pytest.raises(WireError, match="y") as caught:
        array_from_json(value, "y", "uint8")
    assert word in str(caught.value), f"{caught.value}"


def test_a_reply_is_a_result_or_says_why_not() -> None:
    good = '{"id":7,"outputs":{"y":{"shape":[2],"hex":"0001"},"debug":{"any":"thing"}}}'
    assert list(result_from_json(good, CASE, 7).outputs) == ["y"], "other outputs are kept"
    with pytest.raises(Unsupported, match="no NaN"):
        result_from_json('{"id":7,"unsupported":"no NaN"}', CASE, 7)
    with pytest.raises(Rejected, match="no reason given"):
        result_from_json('{"id":7,"rejected":""}', CASE, 7)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("", "not a line of JSON"),
        ("computing...", "not a line of JSON"),
        ('{"id":7,"outputs":{}', "not a line of JSON"),
        ("[" * 100_000, "not a line of JSON"),
        ("[7]", "must be an object"),
        ('{"id":8,"outputs":{}}', "reply to 8, asked was 7"),
        ('{"outputs":{}}', "reply to None"),
        ('{"id":7}', "needs outputs"),
        ('{"id":7,"outputs":[1]}', "needs outputs"),
        ('{"id":7,"outputs":{"y":[0,1]}}', "y must be an object"),
    ],
)
def test_what_is_no_reply_is_told(line: str, word: str) -> None:
    with pytest.raises(WireError) as caught:
        result_from_json(line, CASE, 7)
    assert word in str(caught.value), f"{caught.value}"
    assert len(str(caught.value)) < 200, "the whole line is told"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"op": 3}, "needs op and scheme"),
        ({"op": "nop"}, "unknown operator 'nop'"),
        ({"scheme": "u9"}, "no scheme 'u9'"),
        ({"inputs": {"w": {"shape": [0], "hex": ""}}}, "no input 'w'"),
        ({"inputs": [1]}, "needs inputs and params"),
        ({"params": None}, "needs inputs and params"),
        ({"params": {"axis": {"a": 1}}}, "parameter axis is"),
        ({"params": {"axis": [[1]]}}, "parameter axis is"),
    ],
)
def test_what_is_no_case_is_told(change: dict[str, Any], word: str) -> None:
    with pytest.raises(WireError) as caught:
        case_from_json({**case_to_json(CASE, 1), **change})
    assert word in str(caught.value), f"{caught.value}"


def test_a_line_has_no_nan() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        dumps({"alpha": float("nan")})
