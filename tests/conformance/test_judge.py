"""The judge and its inquiries: filters, claims, nonsense, deviations that were not asked."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from refquant_conformance.adapters import BackendError, load_backend
from refquant_conformance.deviations import Deviation
from refquant_conformance.judge import judge
from refquant_conformance.protocol import Capability, Case, Info
from refquant_conformance.subject import Local
from tests.conformance.bad_backends import Honest

TODAY = date(2026, 11, 23)


class Twice(Honest):
    """Lists its only cell twice."""

    def capabilities(self) -> Iterable[Capability]:
        return [*super().capabilities(), *super().capabilities()]


class Faulty(Honest):
    """Raises where it is asked who it is."""

    def info(self) -> Info:
        raise RuntimeError("no device")


class Claiming(Honest):
    """Claims what it was made with."""

    def __init__(self, claim: Any) -> None:
        self.claim = claim

    def declared(self, op: str) -> Any:
        if isinstance(self.claim, Exception):
            raise self.claim
        return self.claim


class BadProgram(Honest):
    """Cannot write the program that it says it can."""

    def run(self, case: Case) -> Any:
        made = super().run(case)
        made.outputs["y"][...] ^= 1
        return made

    def repro(self, case: Case) -> str:
        raise RuntimeError("no template")


def deviation(name: str) -> Deviation:
    return Deviation(name, "honest", SpecifierSet(""), "none", scheme="f32_u8")


def test_filters_leave_out_and_knobs_are_none() -> None:
    onnx = Local(load_backend("reference:onnx"))
    found = judge(onnx, ops=("quantize_linear",), schemes=("f32_i8",), properties=("QDQ-02",))
    assert [(c.op, c.scheme, c.property) for c in found.cells] == [
        ("quantize_linear", "f32_i8", "QDQ-02")
    ], f"{found.cells}"
    assert len(found.identified) == 1, f"{found.identified}"
    assert (found.red, found.knobs) == ((), {}), "red, or knobs of nobody"
    assert not judge(onnx, schemes=("u8",), ops=("quantize_linear",)).cells, "not in the filter"


def test_what_is_listed_twice_is_judged_once() -> None:
    found = judge(Local(Twice()), properties=("QDQ-02",))
    assert [cell.verdict for cell in found.cells] == ["BIT_EXACT"], f"{found.cells}"


@pytest.mark.parametrize(
    ("claim", "word"),
    [(["half_even"], "must return axes by name or None; got list"),
     (RuntimeError("no table"), "declared: RuntimeError: no table")],
)  # fmt: skip
def test_a_claim_that_is_none_is_an_error_of_the_adapter(claim: Any, word: str) -> None:
    with pytest.raises(BackendError) as caught:
        judge(Local(Claiming(claim)), properties=("QDQ-02",))
    assert word in str(caught.value), f"{caught.value}"


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [({"rounding": "half_away"}, "FAILS"), ({"rounding": "half_even"}, "BIT_EXACT"),
     ({"rounding": "no such", "colour": 1}, "BIT_EXACT"), ({}, "BIT_EXACT"), (None, "BIT_EXACT")],
)  # fmt: skip
def test_a_backend_is_held_to_what_it_claims(claim: Any, verdict: str) -> None:
    (cell,) = judge(Local(Claiming(claim)), properties=("QDQ-02",)).cells
    assert cell.verdict == verdict, f"{cell.detail}"


def test_who_cannot_write_a_program_fails_without_one() -> None:
    (cell,) = judge(Local(BadProgram()), properties=("QDQ-02",)).cells
    assert (cell.verdict, cell.repro) == ("FAILS", ""), f"{cell}"


def test_a_deviation_of_what_was_not_asked_is_not_stale() -> None:
    known = [deviation("QDQ-03"), deviation("QDQ-99")]
    part = judge(Local(Honest()), properties=("QDQ-02",), deviations=known, today=TODAY)
    assert [c.property for c in part.red] == ["QDQ-99"], f"{part.red}"
    assert "no such property" in part.red[0].detail, f"{part.red[0]}"
