"""What hung is known by its contents, and nothing else is taken for it."""

from dataclasses import replace

import numpy as np
import pytest

from refquant_conformance.answers import Answer
from refquant_conformance.protocol import Case
from refquant_conformance.silence import PATIENCE, Silences

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


def cases(count: int, scheme: str = "f32_f16") -> list[Case]:
    return [
        replace(SLOW, scheme=scheme, inputs={"x": np.full(1, n, np.float32)}) for n in range(count)
    ]


def test_a_cell_that_is_silent_in_a_row_is_given_up() -> None:
    known, asked = Silences(), cases(PATIENCE + 1)
    for case in asked[: PATIENCE - 1]:
        known.note(case, HUNG)
    assert known.before(asked[PATIENCE - 1 :]), "given up too early"
    known.note(asked[PATIENCE - 1], HUNG)
    assert known.before(asked[PATIENCE:]) == [], "it would be asked"
    assert known.answer(asked[0]) is HUNG, "what did hang is said as it was"
    told = known.answer(asked[PATIENCE])
    assert told.kind == "hung", f"{told}"
    assert told.reason == "not asked: 3 others in a row, no answer in 20 s", told.reason


def test_another_cell_has_one_try_more() -> None:
    known, other = Silences(), cases(2, "f32_bf16")
    for case in cases(PATIENCE):
        known.note(case, HUNG)
    assert known.before(other) == other, "nobody has asked this cell"
    known.note(other[0], HUNG)
    assert known.before(other[1:]) == [], "silent wherever it was asked"


def test_an_answer_between_ends_the_row() -> None:
    known, asked = Silences(), cases(4 * PATIENCE)
    for case in asked[:-1]:
        known.note(case, HUNG)
        known.note(asked[-1], Answer("rejected"))
    assert known.before(asked[-1:]) == asked[-1:], "it answers, now and then"
