"""X-05, X-07, X-08, X-10, X-11, X-13, X-14: what is set, what was asked before, how often.

Threads, instruction sets, graph optimization, the floating-point mode of the caller, sessions that
were used for something else: none of them is an input of an operator.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from hypothesis import strategies as st

from refquant_conformance.answers import Answer
from refquant_conformance.difference import same_answer
from refquant_conformance.environment import MODE
from refquant_conformance.operators import OPERATORS
from refquant_conformance.properties.probes import ELEMENTWISE, few, many_small
from refquant_conformance.properties.registry import prop
from refquant_conformance.properties.two_ways import fail_unlike, outputs_of
from refquant_conformance.protocol import Case
from refquant_conformance.subject import Subject
from refquant_conformance.trial import Trial, Unanswered

__all__: list[str] = []

_ALL = tuple(OPERATORS)
_CLAUSE = "an operator is a function of the numbers in its inputs (ONNX IR, section on operators)"
_MANY = 1 << 13  # elements: enough for several threads to get some


@prop("X-05", "thread_invariance", ops=_ALL, clause=_CLAUSE, catches="-")
def threads(trial: Trial) -> None:
    """Any number of threads gives the same bits."""
    _same_for_every(trial, "threads", _large(trial))


@prop("X-07", "isa_invariance", ops=_ALL, clause=_CLAUSE, catches="2.1")
def isa(trial: Trial) -> None:
    """Every instruction set gives the same bits."""
    _same_for_every(trial, "isa", [*few(trial, 6), *_large(trial)])


@prop("X-08", "fusion_invariance", ops=_ALL, clause=_CLAUSE, catches="2.4")
def fusion(trial: Trial) -> None:
    """A graph that was optimized gives the bits of one that was not."""
    _same_for_every(trial, "graph_optimization", few(trial, 6))


@prop("X-10", "state_reuse", ops=_ALL, clause=_CLAUSE, catches="2.11")
def reuse(trial: Trial) -> None:
    """What was asked or prepared before does not change an answer."""
    _any_order(trial)
    cases = _with_one_preparation(trial)
    fresh = trial.ask_all(cases)

    def in_turn(order: list[int]) -> None:
        asked = [cases[index] for index in order]
        answers = trial.subject.send("sequence", asked, len(asked))
        for place, (index, answer) in enumerate(zip(order, answers, strict=True)):
            if answer.kind not in ("result", "rejected"):
                raise Unanswered(answer, asked[place])
            trial.cases += 1
            if not same_answer(answer, fresh[index]):
                trial.fail(asked[place], f"after {place} other cases the same question is "
                           f"answered in another way", observed=outputs_of(answer),
                           expected=outputs_of(fresh[index]))  # fmt: skip

    orders = st.lists(st.sampled_from(range(len(cases))), min_size=2, max_size=5)
    if trial.subject.send("sequence", cases[:1])[0].kind != "unsupported":
        trial.forall(orders, in_turn, part=4)


def _any_order(trial: Trial) -> None:
    """Ask the same questions in one order here and in the other order elsewhere."""
    cases = [*few(trial, 4), *(_rescaled(case) for case in few(trial, 2))]
    here = trial.ask_all(cases)
    there = trial.subject.twin().ask(cases[::-1])[::-1]
    for case, a, b in zip(cases, here, there, strict=True):
        if not same_answer(a, b):
            trial.fail(case, "the answer depends on what was asked before",
                       expected=outputs_of(a), observed=outputs_of(b))  # fmt: skip


def _rescaled(case: Case) -> Case:
    """Return the case with every scale doubled."""
    doubled = {n: a * 2 if n.endswith("scale") else a for n, a in case.inputs.items()}
    return replace(case, inputs={n: a.astype(case.inputs[n].dtype) for n, a in doubled.items()})


@prop("X-11", "repeat_determinism", ops=_ALL, clause=_CLAUSE, catches="-")
def repeat(trial: Trial) -> None:
    """The same question, again and in another process, has the same answer."""
    cases = few(trial, 2)
    twice = trial.ask_all([case for case in cases for _ in range(2)])
    first, second = twice[::2], twice[1::2]
    third = trial.subject.twin().ask(cases)
    for case, a, b, c in zip(cases, first, second, third, strict=True):
        if not same_answer(a, b) or not same_answer(a, c):
            where = "again" if not same_answer(a, b) else "in another process"
            seen = b if not same_answer(a, b) else c
            trial.fail(
                case, f"another answer {where}", expected=outputs_of(a), observed=outputs_of(seen)
            )


@prop("X-13", "ftz_robust", ops=_ALL, clause=_CLAUSE, catches="2.3")
def flushed(trial: Trial) -> None:
    """A caller who takes subnormals for zero gets the same bits, and keeps the mode."""
    _whatever_the_mode(trial, ("flush_to_zero",))


@prop("X-14", "rounding_mode_robust", ops=_ALL, clause=_CLAUSE, catches="2.3")
def rounded(trial: Trial) -> None:
    """A caller who rounds in another direction gets the same bits, and keeps the mode."""
    _whatever_the_mode(trial, ("round_up", "round_down", "round_toward_zero"))


def _whatever_the_mode(trial: Trial, modes: Sequence[str]) -> None:
    cases = many_small(trial)
    wanted = trial.ask_all(cases)
    for case, first in zip(cases, wanted, strict=True):
        if MODE in first.mutated:
            trial.fail(case, "the caller's mode was the default, and is another now")
    for mode in modes:
        asked = [replace(case, environment=mode) for case in cases]
        for case, answer, first in zip(asked, trial.ask_all(asked), wanted, strict=True):
            if MODE in answer.mutated:
                trial.fail(case, f"the caller's mode was {mode}, and is another now")
            if not same_answer(answer, first):
                trial.notes["FloatingPointMode"] = f"computes by the caller's mode, as in {mode}"


def _same_for_every(trial: Trial, knob: str, cases: Sequence[Case]) -> None:
    values = trial.subject.info.knobs.get(knob, ())
    if len(values) < 2:
        trial.skip(f"the backend has no choice of {knob}")
    now = getattr(trial.subject, "knobs", {}).get(knob, values[0])
    wanted = trial.ask_all(cases)
    for value in values:
        if value == now:  # ``wanted`` is of it; whether another process agrees is X-11's question
            continue
        other: Subject = trial.subject.variant({knob: value})
        for case, answer, first in zip(cases, other.ask(cases), wanted, strict=True):
            if answer.kind not in ("result", "rejected"):
                raise Unanswered(answer, case)
            trial.cases += 1
            if not same_answer(answer, first):
                again = partial(_by_both, trial, other)
                fail_unlike(trial, case, f"{knob}={value} gives other bits", (first, answer), again)


def _by_both(trial: Trial, other: Subject, case: Case) -> tuple[Answer, Answer]:
    (answer,) = other.ask([case])
    return trial.ask(case), answer


def _large(trial: Trial) -> list[Case]:
    """Return a case with work for several threads."""
    case = few(trial, 1)[0]
    if trial.op not in ELEMENTWISE or trial.scheme.endswith(("_channel", "_block")):
        return [case]
    data = {n: np.resize(a, _MANY) for n, a in case.inputs.items() if n in ("x", "a", "b")}
    return [replace(case, inputs={**case.inputs, **data})]


def _with_one_preparation(trial: Trial) -> list[Case]:
    """Return cases that differ in what is fed only: the same shapes, parameters and weights."""
    case = few(trial, 1)[0]
    name = next((n for n in ("x", "a") if n in case.inputs), next(iter(case.inputs)))
    data = case.inputs[name]
    turned = [data, data[..., ::-1], np.roll(data, 1, axis=-1), np.zeros_like(data)]
    return [replace(case, inputs={**case.inputs, name: values}) for values in turned]
