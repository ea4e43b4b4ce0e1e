"""ACC: laws of sums that hold whatever the contract: tails, order, superposition, knobs.

References
----------
``docs/spec/operators.md`` section 3: a sum of integers has no order.
"""

from itertools import product

import numpy as np

from refquant_conformance.arithmetic.product_probes import middle, product_case
from refquant_conformance.properties.acc import codes, plain, products_of
from refquant_conformance.properties.many import stream
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array, Capability, Case
from refquant_conformance.trial import Trial
from refquant_conformance.types import code_range, storage

__all__: list[str] = []

_MATRICES = ("matmul_integer", "qlinear_matmul")
_CLAUSE = "ONNX MatMulInteger-10: a matrix product of integers, which is exact in any order"
_PAIRS = "i16_pair_saturate"


def _exact_sums(trial: Trial) -> None:
    """Skip a contract whose sums depend on which products are neighbours."""
    if trial.axes is not None and trial.axes.get("accumulator") == _PAIRS:
        trial.skip("sums of the contract depend on the order, as it says")


def _same(trial: Trial, case: Case, seen: Array, wanted: Array, why: str) -> None:
    if seen.shape != wanted.shape or not np.array_equal(seen, wanted):
        trial.fail(case, why, expected={"y": wanted}, observed={"y": seen})


@prop("ACC-05", "k_tails", ops=_MATRICES, clause=_CLAUSE, catches="2.3")
def tails(trial: Trial) -> None:
    """For each K from 1 to 129, more terms of the zero point change nothing."""
    kinds = plain(trial)
    _exact_sums(trial)
    za, zb = middle(kinds[0]) + 5, middle(kinds[1])
    a, b = codes(kinds[0], (2, 129), stream(trial)), codes(kinds[1], (129, 3), stream(trial) + 1)
    short, full = [], []
    for length in range(1, 130):
        short.append(_cut(trial, a[:, :length], b[:length], (za, zb)))
        rest = np.arange(136) >= length
        wide_a, wide_b = np.full((2, 136), za), np.full((136, 3), zb)
        wide_a[:, :129], wide_b[:129] = a, b
        wide_a[:, rest] = za
        full.append(_cut(trial, wide_a, wide_b, (za, zb)))
    answers = trial.ys([*short, *full])
    for k, case in enumerate(short):
        _same(trial, case, answers[k], answers[k + len(short)],
              f"K = {k + 1}: not what a longer sum with zeros gives")  # fmt: skip


def _cut(trial: Trial, a: Array, b: Array, points: tuple[int, int]) -> Case:
    """Return a product whose scales do not depend on K."""
    if trial.op == "matmul_integer":
        return product_case(trial.scheme, a, b, zero_points=(*points, 0), op=trial.op)
    y = code_range(storage_of(trial))
    return product_case(trial.scheme, a, b, (1.0, 2.0**-10, 1.0), (*points, (y[0] + y[1] + 1) // 2))


def storage_of(trial: Trial) -> str:
    """Return the type of y."""
    kinds = plain(trial)
    return "int32" if trial.op == "matmul_integer" else kinds[0]


@prop("ACC-06", "mn_tails", ops=_MATRICES, clause=_CLAUSE, catches="2.3")
def tiles(trial: Trial) -> None:
    """For each number of rows and columns up to 33, y is the corner of a larger y."""
    kinds = plain(trial)
    points = (middle(kinds[0]) + 2, middle(kinds[1]))
    a, b = (
        codes(kinds[0], (33, 24), stream(trial) + 2),
        codes(kinds[1], (24, 33), stream(trial) + 3),
    )
    sizes = [(m, m * 7 % 33 + 1) for m in range(1, 34)]
    cases = [_cut(trial, a[:m], b[:, :n], points) for m, n in sizes]
    whole, *parts = trial.ys([_cut(trial, a, b, points), *cases])
    for case, (m, n), part in zip(cases, sizes, parts, strict=True):
        _same(trial, case, part, whole[:m, :n], f"{m} rows and {n} columns: no corner of 33 and 33")


@prop("ACC-07", "k_permutation", ops=_MATRICES, clause=_CLAUSE, catches="2.1")
def permuted(trial: Trial) -> None:
    """Terms in another order have the same sum."""
    kinds = plain(trial)
    _exact_sums(trial)
    points = (middle(kinds[0]), middle(kinds[1]))
    cases = []
    for k, length in enumerate((2, 17, 64, 200)):
        a, b = codes(kinds[0], (3, length), stream(trial) + k), codes(kinds[1], (length, 3), k)
        drawn = np.random.default_rng(stream(trial) + k).permutation(length)
        orders = (np.arange(length), drawn, np.arange(length)[::-1])
        cases += [_cut(trial, a[:, order], b[order], points) for order in orders]
    answers = trial.ys(cases)
    for k in range(0, len(cases), 3):
        for other in (k + 1, k + 2):
            _same(trial, cases[other], answers[other], answers[k], "another order has another sum")


@prop("ACC-08", "superposition", ops=("matmul_integer",), clause=_CLAUSE, catches="2.1")
def superposed(trial: Trial) -> None:
    """The product of a sum of two operands is the sum of their products."""
    kinds = plain(trial)
    _exact_sums(trial)
    qmin, qmax = code_range(kinds[0])
    cases = []
    for k, length in enumerate((3, 32, 129, 1000)):
        random = np.random.default_rng(stream(trial) + k)
        first = random.integers(qmin // 2, qmax // 2 + 1, (3, length))
        second = np.where(random.random((3, length)) < 0.5, qmax - qmax // 2, first)
        second = np.minimum(second, qmax - first)
        b = codes(kinds[1], (length, 4), stream(trial) + k)
        zb = middle(kinds[1])
        cases += [products_of(trial, v, b, (0, zb)) for v in (first, second, first + second)]
    answers = trial.ys(cases)
    for k in range(0, len(cases), 3):
        total = answers[k].astype(np.int64) + answers[k + 1]
        _same(trial, cases[k + 2], answers[k + 2].astype(np.int64), total, "no sum of two products")


@prop("ACC-12", "sign_combos", ops=("matmul_integer",), clause=_CLAUSE, catches="2.1")
def signs(trial: Trial) -> None:
    """Codes and zero point moved by 128, signed instead of unsigned, give the same product."""
    kinds = plain(trial)
    flip = {"uint8": ("int8", -128), "int8": ("uint8", 128)}
    known = set(trial.subject.capabilities)
    a, b = codes(kinds[0], (3, 65), stream(trial) + 4), codes(kinds[1], (65, 4), stream(trial) + 5)
    points = (middle(kinds[0]) + 9, middle(kinds[1]) - 3)
    (first,) = trial.ys([products_of(trial, a, b, points)])
    others = []
    for turned in ((True, False), (False, True), (True, True)):
        moved, names = [], []
        for operand, point, kind, turn in zip((a, b), points, kinds, turned, strict=True):
            name, by = flip[kind] if turn else (kind, 0)
            moved.append((operand + by, point + by))
            names.append(storage(name).kind + "8")
        scheme = "_".join(names)
        if Capability(trial.op, scheme) in known:
            (x, za), (w, zb) = moved
            others.append(product_case(scheme, x, w, zero_points=(za, zb, 0), op=trial.op))
    if not others:
        trial.skip("the backend has no product of other signs")
    for case, seen in zip(others, trial.ys(others), strict=True):
        _same(trial, case, seen, first, "other signs, the same numbers, another product")


@prop("ACC-16", "reduce_range_agree", ops=_MATRICES, clause=_CLAUSE, catches="2.1")
def seven_bits(trial: Trial) -> None:
    """Codes of seven bits give the same bits under every knob: no pair of products saturates."""
    kinds = plain(trial)
    knobs = trial.subject.info.knobs
    if not any(len(values) > 1 for values in knobs.values()):
        trial.skip("the backend has no knobs")
    random = np.random.default_rng(stream(trial))
    starts = [middle(kind) - 64 for kind in kinds]
    a, b = (random.integers(s, s + 128, shape) for s, shape in
            zip(starts, ((5, 256), (256, 6)), strict=True))  # fmt: skip
    a[0], b[:, 0] = starts[0] + 127, starts[1] + 127
    case = _cut(trial, a, b, (middle(kinds[0]), middle(kinds[1])))
    (first,) = trial.ys([case])
    for name, values in knobs.items():
        for value in values[1:]:
            (answer,) = trial.subject.variant({name: value}).ask([case])
            if answer.result is None:
                trial.fail(case, f"{name}={value}: {answer.kind}: {answer.reason}")
            trial.cases += first.size
            _same(trial, case, answer.result.outputs["y"], first, f"{name}={value}: other bits")


@prop("ACC-17", "one_hot_probe", ops=_MATRICES, clause=_CLAUSE, catches="2.6")
def one_hot(trial: Trial) -> None:
    """A one among zeros selects a row of the other operand, or a column, exactly."""
    kinds = plain(trial)
    za, zb = middle(kinds[0]), middle(kinds[1])
    for length, columns in product((1, 8, 19), (3, 16)):
        b = codes(kinds[1], (length, columns), stream(trial) + length)
        a = np.eye(length, dtype=np.int64) + za
        case = _selecting(trial, a, b, (za, zb))
        (seen,) = trial.ys([case])
        _same(trial, case, seen.astype(np.int64) - _zero(trial), b - zb, "no row of b is selected")
        a = codes(kinds[0], (columns, length), stream(trial) + length)
        case = _selecting(trial, a, np.eye(length, dtype=np.int64) + zb, (za, zb))
        (seen,) = trial.ys([case])
        _same(
            trial, case, seen.astype(np.int64) - _zero(trial), a - za, "no column of a is selected"
        )


def _zero(trial: Trial) -> int:
    return 0 if trial.op == "matmul_integer" else middle(storage_of(trial))


def _selecting(trial: Trial, a: Array, b: Array, points: tuple[int, int]) -> Case:
    zero_points = (*points, _zero(trial))
    return product_case(trial.scheme, a, b, zero_points=zero_points, op=trial.op)
