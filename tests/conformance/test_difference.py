"""Where an answer differs: the first element, and how many."""

import numpy as np

from refquant_conformance.answers import Answer
from refquant_conformance.difference import count_differing, first_difference, same_answer, unlike
from refquant_conformance.protocol import Result


def answer(*codes: float) -> Answer:
    return Answer("result", Result({"y": np.array(codes, np.float32)}))


def expected(*codes: float) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float32]]]:
    return {"y": np.array(codes, np.float32)}


def test_bits_are_compared_and_any_nan_is_as_good() -> None:
    nan = float("nan")
    assert first_difference(expected(1, nan), answer(1, nan)) is None, "the same"
    assert first_difference(expected(1, 0.0), answer(1, -0.0)) == ("y", 1), "the sign of zero"
    assert count_differing(expected(1, 2, 3), answer(0, 2, 0)) == 2, "two of three"


def test_shapes_and_refusals_differ_at_no_element() -> None:
    refused = Answer("rejected", reason="bad")
    assert first_difference(None, refused) is None, "both refuse"
    assert first_difference(None, answer(1)) == ("", -1), "computed where a refusal is expected"
    assert first_difference(expected(1), refused) == ("", -1), "refused"
    assert first_difference(expected(1, 2), answer(1)) == ("y", -1), "another shape"
    assert count_differing(expected(1, 2), answer(1)) == 2, "every element of another shape"
    assert count_differing(expected(1, 2, 3), refused) == 3, "a refusal of three elements"
    assert count_differing(None, answer(1, 2)) == 2, "two elements that should be refused"
    assert count_differing(None, refused) == 0, "both refuse"


def test_two_answers_are_one_if_nothing_differs() -> None:
    refused, hung = Answer("rejected", reason="bad"), Answer("hung", reason="no answer")
    assert same_answer(answer(1, 2), answer(1, 2)), "the same codes"
    assert not same_answer(answer(1, 2), answer(1, 3)), "another code"
    assert not same_answer(answer(1, 2), answer(1)), "another shape"
    assert same_answer(refused, Answer("rejected", reason="for another reason")), "both refuse"
    assert not same_answer(refused, hung), "refused and hung"
    assert not same_answer(answer(1), refused), "computed and refused"
    assert not same_answer(refused, answer(1)), "refused and computed"


def test_an_answer_that_is_wrong_as_a_whole_has_words() -> None:
    refused = Answer("rejected", reason="bad scale")
    assert unlike(None, answer(1), "") == "computed, where the contract refuses", "computed"
    assert unlike(expected(1), refused, "").endswith("computes: bad scale"), "refused"
    assert unlike(expected(1, 2), answer(1), "y") == "output 'y' has shape (1,), not (2,)", "shape"
