"""Verdicts of several seeds: equal, or named with what each seed saw."""

from dataclasses import replace

from refquant_conformance.adapters import load_backend
from refquant_conformance.judge import Judgement, judge
from refquant_conformance.stability import wavering
from refquant_conformance.subject import Local


def judged(seed: int) -> Judgement:
    subject = Local(load_backend("reference:onnx"))
    return judge(subject, seed=seed, schemes=("f32_u8",), properties=("QDQ-02", "QDQ-08"))


def test_the_reference_does_not_depend_on_the_seed() -> None:
    assert wavering([judged(seed) for seed in range(3)]) == [], "seeds disagree"
    assert wavering([]) == [], "nobody was judged"


def test_another_verdict_another_contract_and_a_line_less_are_told() -> None:
    first, second = judged(0), judged(1)
    cell = second.cells[0]
    failed = replace(second, cells=(replace(cell, verdict="FAILS"), *second.cells[1:]))
    (one,) = wavering([first, failed])
    told = f"{cell.property}  quantize_linear  f32_u8  seed 0: BIT_EXACT onnx (also ort), "
    assert str(one) == f"{told}seed 1: FAILS onnx (also ort)", f"{one}"
    shorter = replace(second, cells=second.cells[1:])
    (one,) = wavering([first, shorter])
    assert one.seen[1] == (1, "no line"), f"{one}"
    named = replace(second.identified[0], name="another")
    (one, *_) = wavering([first, replace(second, identified=(named, *second.identified[1:]))])
    assert str(one).startswith("identified  quantize_linear"), f"{one}"


def test_what_is_said_beside_a_verdict_may_differ() -> None:
    first, second = judged(0), judged(1)
    cells = tuple(replace(cell, detail="seen elsewhere", cases=1) for cell in second.cells)
    assert wavering([first, replace(second, cells=cells)]) == [], "a sentence is no verdict"
