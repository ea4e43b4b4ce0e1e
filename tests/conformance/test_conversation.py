"""Verbs and their replies: what a backend raises is an answer, what it lacks is unsupported."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from refquant_conformance.adapters.engine import Prepared
from refquant_conformance.answers import Answer
from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.conversation import BackendDiedError, answer, converse
from refquant_conformance.protocol import Backend, Case, Rejected, Result, Unsupported
from tests.conformance.bad_backends import Honest

CASE = case_of("f32_u8", np.array([0.5, 1.5, 2.5], np.float32), 1.0, 0)


class Full(Honest):
    """Has every optional method."""

    def declared(self, op: str) -> dict[str, str] | None:
        return {"rounding": "half_even"} if op == "quantize_linear" else None

    def prepare(self, case: Case) -> Prepared:
        return Prepared(self.run)

    def repro(self, case: Case) -> str:
        return "print(0)"

    def load_bytes(self, file_format: str, data: bytes) -> None:
        if file_format != "onnx":
            raise Unsupported("onnx only")
        if data != b"good":
            raise Rejected("bad")


def said(backend: Backend, verb: str, argument: Any) -> list[Any]:
    return list(converse(backend, verb, argument))


def test_each_case_has_one_reply_in_order() -> None:
    shifted = case_of("f32_u8", CASE.inputs["x"], 1.0, 3)
    replies = said(Honest(), "run", [CASE, shifted])
    assert [reply.result.outputs["y"].tolist() for reply in replies] == [[0, 2, 2], [3, 5, 5]], (
        f"{replies}"
    )


@pytest.mark.parametrize(
    ("raised", "kind", "reason"),
    [
        (Unsupported("no"), "unsupported", "no"),
        (Rejected("bad"), "rejected", "bad"),
        (Rejected(), "rejected", "the inputs are refused"),
        (BackendDiedError("gone"), "crashed", "gone"),
        (ZeroDivisionError("0"), "broken", "ZeroDivisionError: 0 (test_conversation.py:"),
    ],
)
def test_what_is_raised_is_an_answer(raised: Exception, kind: str, reason: str) -> None:
    def run(case: Case) -> Result:
        raise raised

    got = answer(run, CASE)
    assert (got.kind, got.result) == (kind, None), f"{got}"
    assert got.reason.startswith(reason), f"{got}"


@pytest.mark.parametrize("layout", ["contiguous", "strided", "reversed", "offset"])
def test_the_backend_sees_the_layout_that_was_asked_for(layout: str) -> None:
    seen: list[Any] = []

    def run(case: Case) -> Result:
        seen.append(case.inputs["x"])
        return Honest().run(case)

    got = answer(run, replace(CASE, layout=layout))
    assert got.result is not None, f"{got}"
    assert got.result.outputs["y"].tolist() == [0, 2, 2], f"{got}"
    strides = {"strided": (8,), "reversed": (-4,)}.get(layout, (4,))
    assert seen[0].strides == strides, f"{layout}: {seen[0].strides}"
    assert seen[0] is not CASE.inputs["x"], "the caller's own array is given away"


def test_optional_methods_are_asked_if_they_are_there() -> None:
    full, bare = Full(), Honest()
    assert said(full, "declared", "quantize_linear") == [{"rounding": "half_even"}], "declared"
    assert said(bare, "declared", "quantize_linear") == [None], "declared by nobody"
    assert said(full, "repro", CASE) == ["print(0)"], "repro"
    assert said(bare, "repro", CASE) == [None], "repro of nobody"
    ((info, cells),) = said(bare, "about", None)
    assert (info.name, [cell.scheme for cell in cells]) == ("honest", ["f32_u8"]), f"{info}"


def test_a_sequence_is_run_on_what_the_first_case_prepared() -> None:
    kinds = [reply.kind for reply in said(Full(), "sequence", [CASE, CASE])]
    assert kinds == ["result"] * 2, f"{kinds}"
    none = said(Honest(), "sequence", [CASE, CASE])
    assert [reply.kind for reply in none] == ["unsupported"] * 2, f"{none}"
    assert "no prepare" in none[0].reason, f"{none[0]}"


@pytest.mark.parametrize(
    ("argument", "kind"),
    [(("onnx", b"good"), "result"), (("onnx", b""), "rejected"), (("rq", b""), "unsupported")],
)
def test_files_are_loaded_rejected_or_unsupported(argument: tuple[str, bytes], kind: str) -> None:
    (reply,) = said(Full(), "load", argument)
    assert isinstance(reply, Answer), f"{reply}"
    assert reply.kind == kind, f"{reply}"
    (nobody,) = said(Honest(), "load", argument)
    assert nobody.reason == "the backend loads no files", f"{nobody}"


def test_an_unknown_verb_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="unknown verb 'sing'"):
        said(Honest(), "sing", None)


class Announced:
    """A backend that wants to know what comes next."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def announce(self, cases: Sequence[Case]) -> None:
        self.told.append(len(cases))
        raise RuntimeError("what an announcement raises is no answer")

    def run(self, case: Case) -> Result:
        return Result({"y": case.inputs["x"]})


def test_a_message_of_several_cases_is_announced() -> None:
    backend = Announced()
    case = Case("cast", "f32_f16", {"x": np.array([1.0], np.float32)}, types={"x": "float32"})
    for count in (1, 3):
        kinds = [a.kind for a in converse(cast(Backend, backend), "run", [case] * count)]
        assert kinds == ["result"] * count, "each case has its answer"
    assert backend.told == [3], "one case is no announcement"
