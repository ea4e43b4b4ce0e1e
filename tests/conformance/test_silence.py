"""What hung is known by its contents, and nothing else is taken for it."""

from dataclasses import replace

import numpy as np
import pytest

from refquant_conformance.answers import Answer
from refquant_conformance.protocol import Case
from refquant_conformance.silence import Silences

SLOW = Case("cast", "f32_f16", {"x": np.array([1, 2], np.float32)}, {"axis": 0}, {"x": "float32"})
HUNG = Answer("hung", reason="no answer in 20 s")


def test_what_hung_is_known_again_in_another_object() -> None:
    known = Silences()
    known.note(SLOW, HUNG)
    again = replace(SLOW, inputs={"x": SLOW.inputs["x"].copy()})
    assert known.before([again]) == [], "it would be waited for"
    assert known.answer(again) is HUNG, "another answer"


@pytest.mark.parametrize(
    "other",
    [
        replace(SLOW, scheme="f32_bf16"), replace(SLOW, op="decode"),
        replace(SLOW, inputs={"x": np.array([2, 1], np.float32)}),
        replace(SLOW, inputs={"x": np.array([[1, 2]], np.float32)}),
        replace(SLOW, params={"axis": 1}), replace(SLOW, types={"x": "float16"}),
        replace(SLOW, environment="flush_to_zero"), replace(SLOW, layout="strided"),
    ],
)  # fmt: skip
def test_what_differs_in_anything_is_asked(other: Case) -> None:
    known = Silences()
    known.note(SLOW, HUNG)
    assert known.before([other, SLOW, other]) == [other], "cut at another place"
    with pytest.raises(KeyError):
        known.answer(other)


@pytest.mark.parametrize("kind", ["crashed", "rejected", "unsupported", "broken"])
def test_only_silence_is_remembered(kind: str) -> None:
    known = Silences()
    known.note(SLOW, Answer(kind))
    assert known.before([SLOW]) == [SLOW], f"{kind} is no silence"
