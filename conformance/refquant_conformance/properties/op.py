"""OP: sums, products and means of codes.

References
----------
``docs/spec/operators.md`` section 4.
"""

from dataclasses import replace

import numpy as np

from refquant_conformance.arithmetic.conv_probes import scrambled
from refquant_conformance.arithmetic.elementwise import all_pairs, binary_case
from refquant_conformance.arithmetic.pool_probes import unary_case
from refquant_conformance.arithmetic.product_probes import middle
from refquant_conformance.operators import types_of
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Case
from refquant_conformance.trial import Trial
from refquant_conformance.types import code_range

__all__: list[str] = []

_BINARY = ("qlinear_add", "qlinear_mul")
_CLAUSE = "docs/spec/operators.md section 4: Add, Mul, AveragePool, ReduceMean"


def _code(trial: Trial, name: str) -> str:
    return types_of(trial.op, trial.scheme)[name]


@prop("OP-01", "eltwise_contract", ops=_BINARY, clause=_CLAUSE, catches="2.4")
def every_pair(trial: Trial) -> None:
    """Every pair of codes has the code that the contract gives it, for parameters of all kinds."""
    qmin, qmax = code_range(_code(trial, "a"))
    cases = []
    for random in map(np.random.default_rng, (0, 1, 2, trial.seed)):
        scales = np.exp2(random.uniform(-6, -1, 3)).astype(np.float32)
        points = random.integers(qmin, qmax + 1, 3)
        rules = [(float(s), int(z)) for s, z in zip(scales, points, strict=True)]
        cases.append(all_pairs(trial.op, trial.scheme, (rules[0], rules[1], rules[2])))
    center = middle(_code(trial, "a"))
    half = ((0.5, center), (0.5, center), (1.0, center))  # ties at every odd sum, every odd product
    awkward = ((0.1, center + 3), (0.0375, center - 7), (0.07, center))
    trial.expect(*cases, *(all_pairs(trial.op, trial.scheme, rules) for rules in (half, awkward)))


@prop("OP-02", "identity_eltwise", ops=_BINARY, clause=_CLAUSE, catches="2.4")
def identity(trial: Trial) -> None:
    """Codes plus 0, or times 1, stay the same where input and output have equal parameters."""
    qmin, qmax = code_range(_code(trial, "a"))
    x = np.arange(qmin, qmax + 1)
    center = middle(_code(trial, "a"))
    for scale, zero in ((0.5, center), (0.125, center + 3), (2.0, center - 7)):
        neutral = (scale, zero + 4) if trial.op == "qlinear_add" else (0.25, center)
        other = np.full(x.shape, neutral[1] + (0 if trial.op == "qlinear_add" else 4))
        rules = ((scale, zero), neutral, (scale, zero))
        case = binary_case(trial.op, trial.scheme, x, other, rules)
        seen = trial.outputs(case)["y"]
        if not np.array_equal(seen, x):
            wrong = int(np.argmax(seen != x))
            trial.fail(case, f"{x[wrong]} becomes {seen[wrong]}", expected={"y": x},
                       observed={"y": seen})  # fmt: skip


@prop("OP-03", "avgpool", ops=("qlinear_average_pool",), clause=_CLAUSE, catches="2.8")
def averages(trial: Trial) -> None:
    """Means of windows of all sizes, of sums of both signs, with padding or without."""
    kind = _code(trial, "x")
    qmin, qmax = code_range(kind)
    center = middle(kind)
    ends = ((0.25, center + 1), (0.25, center + 1))  # odd: when it is added matters at ties
    cases: list[Case] = []
    for n in (2, 4, 16):  # n 255 leaves int16 where n is 256
        x = np.full((1, 2, n, n), qmax)
        x[0, 1] = qmin
        x[0, :, 0, 0] = center
        cases.append(unary_case(trial.op, trial.scheme, x, ends, kernel=(n, n), strides=(n, n),
                                pads=(0, 0, 0, 0)))  # fmt: skip
    for k, kernel in enumerate(((1, 2), (2, 2), (3, 3), (2, 3), (1, 4))):
        x = scrambled(kind, (1, 4, 12, 12), trial.seed + k)
        x[0, :2] = center + x[0, :2].astype(np.int64) % 5 - 2  # sums near zero, of both signs
        cases.append(unary_case(trial.op, trial.scheme, x, ends, kernel=kernel, strides=kernel,
                                pads=(0, 0, 0, 0)))  # fmt: skip
    x = scrambled(kind, (1, 3, 6, 6), trial.seed + 9)
    cases.append(unary_case(trial.op, trial.scheme, x, ends, kernel=(3, 3), strides=(1, 1),
                            pads=(1, 1, 1, 1)))  # fmt: skip
    for k, kernel in enumerate(((2, 4), (4, 4), (1, 8))):  # ties: in which order reals are summed
        x = scrambled(kind, (1, 4, 24, 48), trial.seed + 20 + k)
        x[0, :2] = center + x[0, :2].astype(np.int64) % 7 - 3
        cases.append(unary_case(trial.op, trial.scheme, x, ((0.1, center), (0.1, center)),
                                kernel=kernel, strides=kernel, pads=(0, 0, 0, 0)))  # fmt: skip
    trial.expect(*cases)


@prop("OP-04", "mean_reduce", ops=("qlinear_mean",), clause=_CLAUSE, catches="2.8")
def means(trial: Trial) -> None:
    """The mean of a plane is the contract's, and rows and columns can be exchanged."""
    kind = _code(trial, "x")
    qmin, qmax = code_range(kind)
    center = middle(kind)
    cases = []
    for k, (rows, columns) in enumerate(((1, 2), (3, 3), (5, 7), (16, 17))):
        for ends in (((0.1, center), (0.1, center)), ((0.1, center + 9), (0.05, center - 4))):
            x = scrambled(kind, (1, 20, rows, columns), trial.seed + k)
            x[0, 0], x[0, 1] = qmax, qmin
            x[0, 2:9] = center + x[0, 2:9].astype(np.int64) % 5 - 2
            cases.append(unary_case(trial.op, trial.scheme, x, ends))
    trial.expect(*cases)
    turned = [
        replace(c, inputs={**c.inputs, "x": np.swapaxes(c.inputs["x"], -1, -2)}) for c in cases
    ]
    for case, answer, other in zip(cases, trial.ask_all(cases), trial.ask_all(turned), strict=True):
        if answer.result is None or other.result is None:
            trial.fail(case, f"refused: {answer.reason or other.reason}")
        seen, wanted = other.result.outputs["y"], answer.result.outputs["y"]
        if not np.array_equal(seen, wanted):
            trial.fail(case, "rows and columns exchanged have another mean",
                       expected={"y": wanted}, observed={"y": seen})  # fmt: skip
