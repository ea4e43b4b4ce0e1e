"""X-01 to X-06, X-09, X-12: how the same numbers are handed over must not matter.

One value at every position, alone or among others, spread over memory or in one piece, as a
constant or as an input: the code is the same. Vector loops, their scalar tails, and copies that
somebody forgot are what these find.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from refquant_conformance.answers import Answer
from refquant_conformance.arithmetic.base import same_bits
from refquant_conformance.difference import same_answer
from refquant_conformance.operators import OPERATORS
from refquant_conformance.properties.probes import ELEMENTWISE, few
from refquant_conformance.properties.registry import prop
from refquant_conformance.properties.two_ways import fail_unlike
from refquant_conformance.protocol import LAYOUTS, Array, Case
from refquant_conformance.trial import Trial, Unanswered

__all__: list[str] = []

_ALL = tuple(OPERATORS)
_CLAUSE = "an operator is a function of the numbers in its inputs (ONNX IR, section on operators)"
_PRODUCTS = ("matmul_integer", "qlinear_matmul", "qlinear_conv")
_OF_ALL = ("dynamic_quantize_linear", "choose_qparams")
_HELD = "constant_weights"
_LONGEST = 67  # two vectors of 256 bits of bytes, and three


@prop("X-01", "empty", ops=ELEMENTWISE, clause=_CLAUSE, catches="2.9")
def empty(trial: Trial) -> None:
    """An input without elements gives outputs without elements, or is refused."""
    case = few(trial, 1)[0]
    inputs = {n: a[..., :0] if a.ndim and _is_data(n) else a for n, a in case.inputs.items()}
    if trial.scheme.endswith("_block"):
        trial.skip("a block of nothing has no scale")
    answer = trial.ask(replace(case, inputs=inputs))
    if answer.result is None:
        trial.notes["Empty"] = f"refused: {answer.reason}"
        return
    for name, array in answer.result.outputs.items():
        if array.ndim and array.size and name == "y":
            trial.fail(case, f"{name} of an empty input has {array.size} elements")


@prop("X-02", "zero_d_and_broadcast", ops=ELEMENTWISE, clause=_CLAUSE, catches="-")
def zero_d(trial: Trial) -> None:
    """A tensor of one element, with or without axes, has the code of that element."""
    if trial.scheme.endswith(("_channel", "_block")):
        trial.skip("finer scales need an axis")
    case = few(trial, 1)[0]
    one = {n: a.reshape(-1)[:1] if _is_data(n) else a for n, a in case.inputs.items()}
    wanted = trial.outputs(replace(case, inputs=one))
    for shape in ((), (1, 1), (1, 1, 1, 1)):
        shaped = {n: a.reshape(shape) if _is_data(n) else a for n, a in one.items()}
        asked = replace(case, inputs=shaped)
        try:
            answer = trial.ask(asked)
        except Unanswered as silence:
            if silence.answer.kind != "unsupported":
                raise
            trial.notes[f"Rank{len(shape)}"] = silence.answer.reason
            continue
        if answer.result is None:
            trial.notes[f"Rank{len(shape)}"] = f"refused: {answer.reason}"
            continue
        for name, array in answer.result.outputs.items():
            if not same_bits(array.reshape(-1), wanted[name].reshape(-1)).all():
                trial.fail(asked, f"{name} of shape {shape} is {array.reshape(-1)[0]}")


@prop("X-03", "strides", ops=_ALL, clause=_CLAUSE, catches="-")
def strides(trial: Trial) -> None:
    """Arrays that are spread, turned or shifted in memory give what their copies give."""
    case = few(trial, 1)[0]
    _all_the_same(trial, [case, *(replace(case, layout=layout) for layout in LAYOUTS[1:])])


@prop("X-04", "batch_invariance", ops=_ALL, clause=_CLAUSE, catches="-")
def batch(trial: Trial) -> None:
    """An element computed alone is the element computed among others."""
    if trial.arithmetic is None or trial.op in _OF_ALL:
        trial.skip("an element needs all others, or the judge does not know which")
    for case in few(trial, 2):
        whole = trial.outputs(case)
        name = OPERATORS[case.op].outputs[0]
        flat = whole[name].reshape(-1)
        chosen = sorted({0, flat.size // 3, flat.size - 1}) if flat.size else []
        alone = [trial.arithmetic.element(case, index) for index in chosen]
        for index, asked, answer in zip(chosen, alone, trial.ask_all(alone), strict=True):
            if answer.result is None:
                trial.fail(asked, f"refused alone: {answer.reason}")
            got = answer.result.outputs[name].reshape(-1)
            if not same_bits(got[index % got.size :][:1], flat[index : index + 1]).all():
                trial.fail(case, f"{name}[{index}] is {flat[index]} among others, alone {got}")


@prop("X-06", "position_invariance", ops=ELEMENTWISE, clause=_CLAUSE, catches="2.3")
def position(trial: Trial) -> None:
    """One value at every position of vectors of every length has one code."""
    if trial.scheme.endswith(("_channel", "_block")):
        trial.skip("finer scales are asked slice by slice")
    cases = []
    for case in few(trial, 3):
        data = [name for name in case.inputs if _is_data(name)]
        for index in _telling(case.inputs[data[0]]):
            for n in (_LONGEST, 15, 33):
                repeated = {m: np.full(n, case.inputs[m].reshape(-1)[index]) for m in data}
                cases.append(replace(case, inputs={**case.inputs, **repeated}))
    for case, answer in zip(cases, trial.ask_all(cases), strict=True):
        if answer.result is None:
            continue  # refused as a whole: other properties look at that
        for name, array in answer.result.outputs.items():
            if array.ndim and not same_bits(array, np.full_like(array, array[0])).all():
                wrong = int(np.argmin(same_bits(array, np.full_like(array, array[0]))))
                trial.fail(case, f"{name}[{wrong}] of {array.size} is {array[wrong]}, "
                           f"{name}[0] is {array[0]}, of equal inputs")  # fmt: skip


@prop("X-09", "const_vs_input", ops=_PRODUCTS, clause=_CLAUSE, catches="-")
def constant(trial: Trial) -> None:
    """Weights that are constants of a model give what weights that are fed give."""
    case = few(trial, 1)[0]
    both = [replace(case, params={**case.params, _HELD: held}) for held in (0, 1)]
    _all_the_same(trial, both)


@prop("X-12", "no_input_mutation", ops=_ALL, clause=_CLAUSE, catches="-")
def untouched(trial: Trial) -> None:
    """The arrays that were passed in hold the same bytes afterwards."""
    for layout in ("contiguous", "offset"):
        case = replace(few(trial, 1)[0], layout=layout)
        changed = [name for name in trial.ask(case).mutated if name in case.inputs]
        if changed:
            trial.fail(case, f"changed its inputs: {', '.join(changed)}")


def _is_data(name: str) -> bool:
    return name in ("x", "a", "b")


def _telling(x: Array) -> list[int]:
    """Return a few indices of values that are unlike each other."""
    flat = x.reshape(-1)
    return sorted({0, 1, flat.size // 2, flat.size - 1} & set(range(flat.size)))


def _all_the_same(trial: Trial, cases: Sequence[Case]) -> None:
    answers = trial.ask_all(cases)
    first = answers[0]
    for case, answer in zip(cases, answers, strict=True):
        if same_answer(first, answer):
            continue
        if answer.result is None or first.result is None:
            trial.fail(case, "computed in one form, refused in another")
        again = partial(_in_both_forms, trial, cases[0], case)
        fail_unlike(trial, case, "another answer in this form", (first, answer), again)


def _in_both_forms(trial: Trial, one: Case, other: Case, case: Case) -> tuple[Answer, Answer]:
    """Ask a case in the forms of two others: how arrays lie in memory, what is a constant."""
    held = [{k: v for k, v in form.params.items() if k == _HELD} for form in (one, other)]
    first, second = trial.ask_all(
        [
            replace(case, layout=form.layout, params={**case.params, **more})
            for form, more in zip((one, other), held, strict=True)
        ]
    )
    return first, second
