"""An answer is one if every output is there, an array, in the type of the scheme."""

from typing import Any

import numpy as np
import pytest

from refquant_conformance.adapters.samples import sample
from refquant_conformance.answers import Answer, well_formed
from refquant_conformance.operators import OPERATORS
from refquant_conformance.protocol import Result
from refquant_conformance.types import storage


@pytest.mark.parametrize("op", OPERATORS)
def test_every_output_must_be_an_array_of_its_type(op: str) -> None:
    case = sample(op, next(iter(OPERATORS[op].schemes)))
    good: dict[str, Any] = {
        name: np.zeros(2, storage(case.types[name])) for name in OPERATORS[op].outputs
    }
    assert well_formed(case, Answer("result", Result(good))).kind == "result", "refused"
    for name in good:
        for bad, word in (
            (None, "missing"),
            ([0], "a list, not an array"),
            (np.zeros(2, np.complex64), "is complex64"),
        ):
            outputs = {**good, name: bad} if bad is not None else {**good}
            if bad is None:
                del outputs[name]
            broken = well_formed(case, Answer("result", Result(outputs)))
            assert (broken.kind, broken.result) == ("broken", None), f"{broken}"
            assert f"output {name!r}" in broken.reason, f"{broken}"
            assert word in broken.reason, f"{broken}"


def test_what_is_no_result_stays_what_it_is() -> None:
    case = sample("quantize_linear", "f32_u8")
    for kind in ("unsupported", "rejected", "crashed", "hung"):
        answer = Answer(kind, reason="so")
        assert well_formed(case, answer) is answer, kind


def test_what_numpy_makes_of_an_array_without_an_axis_is_one() -> None:
    case = sample("quantize_linear", "f32_u8")
    scalar: Any = np.clip(np.uint8(3), 0, 2)
    answer = well_formed(case, Answer("result", Result({"y": scalar})))
    assert answer.result is not None, f"{answer}"
    y = answer.result.outputs["y"]
    assert isinstance(y, np.ndarray), f"{type(y)}"
    assert (y.shape, y.item()) == ((), 2), f"{y}"
    other: Any = np.float64(1)
    broken = well_formed(case, Answer("result", Result({"y": other})))
    assert "is float64" in broken.reason, f"{broken}"
