"""Where an answer differs from what was expected: the first element, how many, in which words."""

import numpy as np

from refquant_conformance.answers import Answer
from refquant_conformance.arithmetic.base import Outputs, same_bits

__all__ = ["count_differing", "first_difference", "same_answer", "unlike"]


def first_difference(expected: Outputs | None, answer: Answer) -> tuple[str, int] | None:
    """Return output and flat index of the first element that differs; None if all are equal.

    A refusal where numbers are expected, or numbers where a refusal is, differ at index -1; so does
    an output of another shape.
    """
    if expected is None or answer.result is None:
        agree = expected is None and answer.kind == "rejected"
        return None if agree else ("", -1)
    for name, wanted in expected.items():
        got = answer.result.outputs[name]
        if got.shape != wanted.shape:
            return name, -1
        same = same_bits(got.reshape(-1), wanted.astype(got.dtype).reshape(-1))
        if not same.all():
            return name, int(np.argmin(same))
    return None


def count_differing(expected: Outputs | None, answer: Answer) -> int:
    """Count the elements that are predicted wrongly; of a wrong refusal, all that were computed."""
    if expected is None or answer.result is None:
        if first_difference(expected, answer) is None:
            return 0
        computed = expected or (answer.result.outputs if answer.result else {})
        return max(1, sum(array.size for array in computed.values()))
    count = 0
    for name, wanted in expected.items():
        got = answer.result.outputs[name]
        if got.shape == wanted.shape:
            count += int((~same_bits(got.reshape(-1), wanted.reshape(-1))).sum())
        else:
            count += wanted.size
    return count


def same_answer(a: Answer, b: Answer) -> bool:
    """Whether two answers are one: the same kind, or the same outputs in shape and bits."""
    if a.result is None or b.result is None:
        return a.kind == b.kind
    return first_difference(a.result.outputs, b) is None


def unlike(expected: Outputs | None, answer: Answer, output: str) -> str:
    """Say how an answer as a whole is unlike what was expected: refused, computed, of a shape."""
    if expected is None:
        return "computed, where the contract refuses"
    if answer.result is None:
        return f"refused, where the contract computes: {answer.reason}"
    got, wanted = answer.result.outputs[output].shape, expected[output].shape
    return f"output {output!r} has shape {got}, not {wanted}"
