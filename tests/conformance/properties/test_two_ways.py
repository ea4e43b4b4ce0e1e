"""Laws that ask twice: what differs alone is shown alone, what does not is shown as a whole."""

from dataclasses import replace

import numpy as np
import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.answers import Answer
from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.properties.probes import few
from refquant_conformance.properties.two_ways import fail_unlike, outputs_of
from refquant_conformance.protocol import Array, Case, Result
from refquant_conformance.subject import Local
from refquant_conformance.trial import Mismatch, Trial


def asked() -> tuple[Trial, Case]:
    arithmetic = arithmetic_of("quantize_linear", "f32_u8")
    assert arithmetic is not None, "the judge knows this cell"
    subject = Local(load_backend("reference:onnx"))
    trial = Trial(subject, "quantize_linear", "f32_u8", arithmetic, None)
    case = few(trial, 1)[0]
    inputs: dict[str, Array] = {
        "x": np.array([0, 0, 0, 1.5, 0, 2.5], np.float32),
        "scale": np.array(1, np.float32),
        "zero_point": np.array(0, np.uint8),
    }
    return trial, replace(case, inputs=inputs)


def said(codes: list[int]) -> Answer:
    y: Array = np.array(codes, np.uint8)
    return Answer("result", Result({"y": y}))


def failed(alone: tuple[Answer, Answer]) -> Mismatch:
    trial, case = asked()
    answers = said([0, 0, 0, 2, 0, 2]), said([0, 0, 0, 1, 0, 3])
    with pytest.raises(Mismatch) as found:
        fail_unlike(trial, case, "another answer", answers, lambda one: alone)
    return found.value


def test_an_element_that_differs_alone_is_the_counterexample() -> None:
    found = failed((said([2]), said([1]))).counterexample
    assert found.case.inputs["x"].reshape(-1).tolist() == [1.5], "the first that differs"
    assert found.expected["y"].tolist() == [2], f"{found.expected}"
    assert found.observed["y"].tolist() == [1], f"{found.observed}"
    assert found.law, "it holds whatever the contract"


def test_what_differs_among_others_only_is_shown_with_them() -> None:
    found = failed((said([2]), said([2]))).counterexample
    assert found.case.inputs["x"].size == 6, f"{found.case.inputs}"
    assert found.observed["y"].tolist() == [0, 0, 0, 1, 0, 3], f"{found.observed}"


def test_what_is_refused_alone_is_shown_with_the_others() -> None:
    refused = Answer("rejected", reason="one element is too few")
    found = failed((refused, said([1]))).counterexample
    assert found.case.inputs["x"].size == 6, f"{found.case.inputs}"


def test_a_refusal_has_no_outputs() -> None:
    assert outputs_of(Answer("rejected", reason="no")) == {}, "arrays of a refusal"
    assert outputs_of(said([7]))["y"].tolist() == [7], "arrays of a result"
