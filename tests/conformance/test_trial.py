"""What a property works with: the oracle's second count, draws that end, notes, bounds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from refquant_conformance.adapters import load_backend
from refquant_conformance.answers import Answer
from refquant_conformance.arithmetic.quantize import QUANTIZE, case_of
from refquant_conformance.inquiry import try_property
from refquant_conformance.properties import PROPERTIES, Property
from refquant_conformance.protocol import Case
from refquant_conformance.subject import Local
from refquant_conformance.trial import HarnessFault, Mismatch, Trial, Unanswered

SPEC: dict[str, Any] = {
    **{"rounding": "half_even", "scale_op": "divide_f32", "zero_point_at": "after_rounding"},
    **{"clamp": "after_rounding", "overflow": "saturate", "nan": "qmin", "codes": "full"},
}
CASE = case_of("f32_u8", np.array([0.5, 1.5, 2.5], np.float32), 1.0, 0)


def trial(backend: str = "reference:onnx") -> Trial:
    return Trial(Local(load_backend(backend)), "quantize_linear", "f32_u8", QUANTIZE, SPEC)


def verdict(check: Any, made: Trial | None = None) -> tuple[str, str]:
    one = Property("T-01", "t", "t", (), "", "", check)
    cell = try_property(one, made or trial())
    assert cell is not None, "the property was skipped"
    return cell.verdict, cell.detail


def test_the_oracle_counts_again_and_a_disagreement_is_ours() -> None:
    wrong = replace(QUANTIZE, exact=lambda case, axes, output, index: 77)
    made = replace(trial(), arithmetic=wrong)
    with pytest.raises(HarnessFault, match=r"y\[0\] is 0 by the reference and 77 by the oracle"):
        made.expect(CASE)
    assert verdict(lambda t: t.expect(CASE), made)[0] == "HARNESS_ERROR", "not called ours"


def test_a_difference_is_shown_by_its_element_alone() -> None:
    made = trial("mutant:half_away")
    with pytest.raises(Mismatch, match=r"y\[0\] is 1, the contract computes 0") as caught:
        made.expect(CASE)
    assert caught.value.counterexample.case.inputs["x"].tolist() == [0.5], "not the smallest"
    assert not caught.value.counterexample.law, "a contract was asked"


def test_who_crashes_is_not_asked_again() -> None:
    asked = []

    def crash(number: int) -> None:
        asked.append(number)
        raise Unanswered(Answer("crashed", reason="gone"), CASE)

    assert verdict(lambda t: t.forall(st.integers(), crash)) == ("CRASHED", "gone"), "not told"
    assert len(asked) == 1, f"crashed {len(asked)} times"


def test_who_fails_and_then_crashes_or_wavers_fails() -> None:
    times: list[int] = []

    def wavers(number: int) -> None:
        times.append(number)
        if len(times) == 3:
            trial().fail(CASE, "once")
        if len(times) > 3:
            raise Unanswered(Answer("crashed", reason="gone"), CASE)

    assert verdict(lambda t: t.forall(st.integers(), wavers)) == ("FAILS", "once"), "not told"


def test_a_failure_shrinks_and_the_seed_draws_the_same() -> None:
    def body(number: int) -> None:
        seen.append(number)
        if number >= 10:
            trial().fail(CASE, f"{number}")

    seen: list[int] = []
    found = verdict(lambda t: t.forall(st.integers(0, 10**6), body))
    assert found == ("FAILS", "10"), f"not the smallest: {found}"
    first, seen = seen, []
    verdict(lambda t: t.forall(st.integers(0, 10**6), body))
    assert first == seen, "the same seed draws others"


def test_notes_bounds_skips_and_faults_have_verdicts() -> None:
    def noted(t: Trial) -> None:
        t.notes["Empty"] = "refused"

    def bounded(t: Trial) -> None:
        t.bounded("EM-QDQ", 0.5)
        t.bounded("EM-QDQ", 0.25)

    assert verdict(noted) == ("SPEC_AMBIGUOUS", "Empty: refused"), "a note"
    assert verdict(bounded) == ("WITHIN_BOUND", "EM-QDQ 0.5"), "not the worst"
    assert verdict(lambda t: None)[0] == "BIT_EXACT", "nothing was wrong"
    other = replace(trial(), axes={**SPEC, "rounding": "half_away"})
    assert verdict(lambda t: None, other)[0] == "BIT_EXACT_CONTRACT", "not the specification's"
    kind, why = verdict(lambda t: dict[str, int]()["key"])
    assert (kind, "KeyError: 'key' (test_trial.py:" in why) == ("HARNESS_ERROR", True), f"{why}"
    skipped = Property("T-01", "t", "t", (), "", "", lambda t: t.skip("no"))
    assert try_property(skipped, trial()) is None, "a skip has a line"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("unsupported", "UNSUPPORTED"), ("crashed", "CRASHED"), ("hung", "HUNG"),
     ("broken", "HARNESS_ERROR")],
)  # fmt: skip
def test_what_is_no_answer_has_a_verdict(kind: str, expected: str) -> None:
    def silent(t: Trial) -> None:
        raise Unanswered(Answer(kind, reason="why"), CASE)

    assert verdict(silent) == (expected, "why"), f"{kind}"
    row = try_property(Property("T-01", "t", "t", (), "", "", silent), trial())
    assert row is not None, "no line"
    shown = None if row.counterexample is None else row.counterexample.case
    wanted = CASE if kind in ("crashed", "hung") else None
    assert shown is wanted, "what ends a backend is shown; what it declines is not"


def test_outputs_of_who_refuses_fail_as_a_law() -> None:
    class Refusing:
        def ask(self, cases: list[Case]) -> list[Answer]:
            return [Answer("rejected", reason="no") for _ in cases]

    made = replace(trial(), subject=Refusing())  # type: ignore[arg-type]  # asked for nothing else
    with pytest.raises(Mismatch, match="refused: no") as caught:
        made.outputs(CASE)
    assert caught.value.counterexample.law, "no contract was asked"


def test_elements_are_counted() -> None:
    made = trial()
    made.expect(CASE, CASE)
    assert made.cases == 6, f"{made.cases}"
    assert "QDQ-02" in PROPERTIES, "no properties"
