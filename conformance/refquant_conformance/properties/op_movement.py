"""OP: codes that move, and codes that get another rule on their way.

References
----------
``docs/spec/operators.md`` section 6; ONNX, MaxPool, Reshape, Transpose, Slice, Gather, Pad, Concat,
Resize.
"""

import numpy as np

from refquant_conformance.arithmetic.concat import concat_case
from refquant_conformance.arithmetic.conv_probes import scrambled
from refquant_conformance.arithmetic.movement import moved_case
from refquant_conformance.arithmetic.resize import COORDINATES, resize_case
from refquant_conformance.operators import types_of
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Case, Param
from refquant_conformance.trial import Trial, Unanswered
from refquant_conformance.types import code_range

__all__: list[str] = []

_CONCAT = ("qlinear_concat",)
_CLAUSE = "docs/spec/operators.md section 6: elements are copied; padding is the real 0, or none"


def _ends(trial: Trial) -> tuple[str, int, int]:
    kind = types_of(trial.op, trial.scheme)["y"]
    return (kind, *code_range(kind))


@prop("OP-05", "movement_exact", ops=("max_pool", "move", *_CONCAT), clause=_CLAUSE, catches="2.4")
def movement(trial: Trial) -> None:
    """Codes that move are what they were, in every order of axes, for every length of a row."""
    if trial.op == "move":
        cases = _moves(trial)
    elif trial.op == "max_pool":
        cases = _pools(trial)
    else:
        _joined(trial)
        return
    _expect_each(trial, cases)


def _expect_each(trial: Trial, cases: list[Case]) -> None:
    """Expect all; what a backend has no words for is noted once, unless it is everything."""
    silent: list[Unanswered] = []
    for case in cases:
        try:
            trial.expect(case)
        except Unanswered as one:
            if one.answer.kind != "unsupported":
                raise
            silent.append(one)
    if len(silent) == len(cases):
        raise silent[0]


def _pools(trial: Trial) -> list[Case]:
    kind, qmin, _ = _ends(trial)
    found = []
    for k, columns in enumerate((16, 33)):
        x = scrambled(kind, (1, 1 + 16 * (k % 2), 7, columns), trial.seed + k)
        x[..., :3] = qmin + k  # a corner of small codes: padding would win there
        for kernel, strides, pads in (
            ((2, 2), (2, 2), (0, 0, 0, 0)),
            ((3, 3), (1, 1), (1, 1, 1, 1)),
            ((3, 3), (2, 2), (0, 0, 0, 0)),
            ((2, 3), (2, 1), (1, 1, 0, 1)),
            ((1, 3), (1, 1), (0, 1, 0, 1)),  # other pads above than at the side
        ):
            found.append(moved_case(trial.op, trial.scheme, x, qmin + 130, kernel=kernel,
                                    strides=strides, pads=pads))  # fmt: skip
    return found


def _moves(trial: Trial) -> list[Case]:
    kind, qmin, _ = _ends(trial)
    asked: list[tuple[tuple[int, ...], dict[str, Param]]] = []
    for n in (16, 33):
        asked.append(((n, 12), {"kind": "transpose", "perm": (1, 0)}))
        asked.append(((3, n, 5), {"kind": "transpose", "perm": (0, 2, 1)}))
        asked.append(((4, n), {"kind": "reshape", "shape": (n, 4)}))
        asked.append(((4, n), {"kind": "slice", "starts": (1, 2), "ends": (3, n - 1)}))
        asked.append(((3, n), {"kind": "pad", "pads": (1, 0, 0, 3)}))
        asked.append(((n, 5), {"kind": "concat", "axis": 1}))
        asked.append(((n, 3), {"kind": "gather", "axis": 0, "indices": (n - 1, 0, n // 2, 1, 1)}))
    return [
        moved_case(trial.op, trial.scheme, scrambled(kind, shape, trial.seed + k), qmin + 100, **p)
        for k, (shape, p) in enumerate(asked)
    ]


def _joined(trial: Trial) -> None:
    """Require of tensors with equal rules that their codes stay, whatever the contract."""
    _, qmin, qmax = _ends(trial)
    codes = np.arange(qmin, qmax + 1)[None]
    for scale, zero in ((0.25, qmin + 128), (0.1, qmin + 3), (1 / 3, qmax)):
        case = concat_case(trial.scheme, codes, codes[:, :77], ((scale, zero),) * 3)
        wanted = np.concatenate([codes, codes[:, :77]], axis=1)
        seen = trial.outputs(case)["y"]
        if seen.shape != wanted.shape or not np.array_equal(seen, wanted):
            trial.fail(case, "equal rules, and other codes", expected={"y": wanted},
                       observed={"y": seen})  # fmt: skip


@prop(
    "OP-13",
    "concat_requant",
    ops=_CONCAT,
    clause="onnxruntime QLinearConcat: each operand from its own scale and zero point to those of "
    "the output",
    catches="2.4",
)
def requantized(trial: Trial) -> None:
    """Every code of each operand is rescaled by its own rule, as the contract rounds."""
    _, qmin, qmax = _ends(trial)
    codes = np.arange(qmin, qmax + 1)[None]
    random = np.random.default_rng(trial.seed)
    cases = []
    for _ in range(4):
        scales = np.exp2(random.uniform(-6, -1, 3)).astype(np.float32)
        points = random.integers(qmin, qmax + 1, 3)
        rules = [(float(s), int(z)) for s, z in zip(scales, points, strict=True)]
        cases.append(concat_case(trial.scheme, codes, codes[:, 5:], (rules[0], rules[1], rules[2])))
    y = (1.0, qmin + 128)
    ties = (0.5, qmin + 128), (0.25, qmin + 101), y
    cases.append(concat_case(trial.scheme, codes, codes, ties))
    cases.append(concat_case(trial.scheme, codes, codes, (y, (0.5, qmin + 7), y)))  # a is copied
    trial.expect(*cases)


@prop(
    "OP-09",
    "resize",
    ops=("resize_nearest", "resize_bilinear"),
    clause="ONNX Resize-19: coordinates of places, and linear interpolation, which of equal codes "
    "is that code",
    catches="2.8",
)
def resized(trial: Trial) -> None:
    """Places are the contract's; an image of one color, or of the same size, stays what it is."""
    kind, qmin, qmax = _ends(trial)
    cases = []
    for k, (size, to) in enumerate((((3, 5), (6, 10)), ((7, 26), (5, 28)), ((6, 9), (2, 4)))):
        x = scrambled(kind, (1, 2, *size), trial.seed + k)
        cases += [resize_case(trial.op, trial.scheme, x, to, c) for c in COORDINATES]
    trial.expect(*cases)
    for color in (qmax, qmin + 200, qmin + 1):
        x = np.full((1, 1, 3, 3), color)
        even = [resize_case(trial.op, trial.scheme, x, to, c)
                for to in ((7, 11), (2, 10)) for c in COORDINATES]  # fmt: skip
        for case, y in zip(even, trial.ys(even), strict=True):
            if (y != color).any():
                trial.fail(case, f"an image of {color} has {sorted(set(y.reshape(-1).tolist()))}",
                           expected={"y": np.full_like(y, color)}, observed={"y": y})  # fmt: skip
    x = scrambled(kind, (1, 2, 5, 6), trial.seed + 9)
    same = [resize_case(trial.op, trial.scheme, x, (5, 6), c) for c in COORDINATES]
    for case, y in zip(same, trial.ys(same), strict=True):
        if not np.array_equal(y, case.inputs["x"]):
            trial.fail(case, "the same size, and another image", observed={"y": y},
                       expected={"y": case.inputs["x"]})  # fmt: skip
