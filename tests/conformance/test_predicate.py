"""Conditions: what they may say, what they mean, and that nothing else is run."""

import numpy as np
import pytest

from refquant_conformance.predicate import parse
from refquant_conformance.protocol import Case

CASE = Case(
    "quantize_linear",
    "f32_u8",
    {
        "x": np.array([1, 2], np.float32),
        "scale": np.array(0.5, np.float32),
        "zero_point": np.array(3, np.uint8),
    },
    {"axis": None, "kernel": (2, 3), "mode": "fast"},
)


@pytest.mark.parametrize(
    "text",
    [
        "zero_point % 2 == 1",
        "zero_point // 2 == 1 and scale * 2 == 1",
        "0 < scale < 1",
        "axis == None",
        "kernel == (2, 3)",
        "mode in ('fast', 'slow')",
        "mode not in ('slow', 'sure')",
        "not (scale > 1 or zero_point > 3)",
        "-zero_point == -3",
        "zero_point - 1 + 1 >= 3",
        "scheme == 'f32_u8' and op != 'dequantize_linear'",
    ],
)
def test_what_holds(text: str) -> None:
    condition = parse(text)
    assert condition(CASE), f"{text} does not hold"
    assert not parse(f"not ({text})")(CASE), f"not ({text}) holds"


@pytest.mark.parametrize("text", ["nobody == 1", "x == 1", "axis < 1", "zero_point % 0 == 0"])
def test_what_has_no_value_does_not_hold(text: str) -> None:
    assert not parse(text)(CASE), f"{text} holds"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no condition"),
        ("scale ==", "no condition"),
        ("scale = 1", "no condition"),
        ("9 ** 9 == 1", "Pow"),
        ("scale / 2 == 1", "Div"),
        ("scale is None", "Is"),
        ("scale is not None", "IsNot"),
        ("~zero_point == 1", "Invert"),
        ("+zero_point == 1", "UAdd"),
        ("1 << 99 == 1", "LShift"),
        ("open('x')", "Call"),
        ("().__class__", "Attribute"),
        ("x[0] == 1", "Subscript"),
        ("[1] == 1", "List"),
        ("(lambda: 1) == 1", "Lambda"),
        ("f'{scale}' == ''", "JoinedStr"),
    ],
)
def test_what_is_no_condition_is_refused_when_it_is_read(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        parse(text)
