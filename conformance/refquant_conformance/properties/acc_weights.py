"""ACC: sums of reals and codes: how far they may be from the truth, and where a scale begins.

A sum of float32 products may be formed in any order, so it is held to a bound (error model
EM-WEIGHTS) and to two conditions that no single element shows: errors are not all large, and they
do not all point one way. The second one finds sums that are cut off instead of rounded.

References
----------
TOSA reference model, ``verify_dot_product`` (variance and bias of a dot product's errors).
"""

import numpy as np
from numpy.typing import NDArray

from refquant_conformance.arithmetic.matmul_nbits import nbits_case, spread
from refquant_conformance.error_models import em_weights
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Case
from refquant_conformance.trial import Trial

__all__: list[str] = []

_OPS = ("matmul_nbits",)
_CLAUSE = "onnxruntime MatMulNBits: A times the dequantized B"
_VARIANCE = 0.4  # of the errors, in u |a| |w|, for each term: that of TOSA's dot products
_SIGMAS = 5.0  # a false alarm in a million runs


@prop("ACC-13", "dot_bound", ops=_OPS, clause=_CLAUSE, catches="2.9")
def bounded(trial: Trial) -> None:
    """Every sum is within its bound; together, errors are as small and as even as of rounding."""
    random = np.random.default_rng(trial.seed)
    for rows, k, size in ((1, 64, 32), (1, 512, 128), (32, 32, 16), (16, 256, 32)):
        blocks, columns = k // size, 128
        a = random.normal(size=(rows, k))
        a[:, ::7] = 0  # exact terms among others
        scale = np.exp2(random.uniform(-7, -3, (blocks, columns)))
        codes = random.integers(0, 16, (k, columns))
        points = random.integers(0, 16, (blocks, columns))
        codes[:, 0] = points[np.arange(k) // size, 0]  # a column of nothing but zeros
        _judge(trial, nbits_case(a, codes, scale, points, size))


def _judge(trial: Trial, case: Case) -> None:
    seen = trial.outputs(case)["y"].astype(np.float64)
    a, (steps, scale) = case.inputs["a"].astype(np.float64), spread(case)
    weights = steps * scale.astype(np.float64)  # exact: 5 and 24 bits
    true, sizes = a @ weights, np.abs(a) @ np.abs(weights)
    bound = em_weights(sizes, len(steps))
    with np.errstate(invalid="ignore"):
        ratio = np.where(bound > 0, np.abs(seen - true) / bound, np.where(seen == 0, 0, np.inf))
    if seen.shape != true.shape or not (ratio <= 1).all():
        at = int(np.argmax(np.where(np.isnan(ratio), np.inf, ratio)))
        wanted, got = float(true.reshape(-1)[at]), float(seen.reshape(-1)[at])
        trial.fail(case, f"y[{at}] is {got}, the sum is {wanted}: {ratio.max():.3g} times the "
                   f"bound of {len(steps)} terms", observed={"y": seen})  # fmt: skip
    _together(trial, case, seen - true, true, sizes)
    trial.bounded("EM-WEIGHTS", float(ratio.max()))


def _together(
    trial: Trial, case: Case, error: NDArray[np.float64], true: NDArray[np.float64],
    sizes: NDArray[np.float64],
) -> None:  # fmt: skip
    """Refuse errors that are too large on the whole, or that point one way."""
    some = sizes > 0
    units = error[some] / (sizes[some] * 2.0**-24)
    terms = case.inputs["a"].shape[1]
    grown = units * np.sign(true[some])
    spread_of_mean = max(float(grown.std()), 2.0**-10) / np.sqrt(grown.size)
    if abs(grown.mean()) > _SIGMAS * spread_of_mean + 2.0**-3:
        trial.fail(case, f"errors point one way: {grown.mean():.3g} u on the average, away from 0 "
                   f"if it is positive")  # fmt: skip
    if (units**2).mean() > _VARIANCE * terms:
        trial.fail(case, f"errors have the variance {(units**2).mean():.3g} u^2, rounding of "
                   f"{terms} terms has {_VARIANCE * terms:.3g} at most")  # fmt: skip


@prop("ACC-18", "grouped_scale_boundary", ops=_OPS, clause=_CLAUSE, catches="2.9")
def boundaries(trial: Trial) -> None:
    """A row with one 1 selects the weights of its place exactly: each has its own block's scale."""
    for k, size in ((80, 16), (96, 32), (40, 16), (64, 64), (130, 128)):
        blocks, columns = -(-k // size), 8
        scale = np.exp2(np.arange(blocks * columns).reshape(blocks, columns) % 11 - 5)
        codes = (np.arange(k * columns).reshape(k, columns) * 7 + trial.seed) % 16
        points = (np.arange(blocks * columns).reshape(blocks, columns) * 5 + 3) % 16
        for zero_point in (points, None):
            for rows in (np.eye(k), np.eye(k)[size - 1 : size], np.eye(k)[-1:]):
                _select(trial, nbits_case(rows, codes, scale, zero_point, size))


def _select(trial: Trial, case: Case) -> None:
    steps, scale = spread(case)
    wanted = case.inputs["a"] @ (steps.astype(np.float32) * scale)  # one term each
    seen = trial.outputs(case)["y"]
    if seen.shape != wanted.shape or not np.array_equal(seen, wanted):
        row, column = (int(v) for v in np.argwhere(seen != wanted)[0])
        k = int(np.argmax(case.inputs["a"][row]))
        trial.fail(case, f"weight ({k}, {column}) is {seen[row, column]}, in blocks of "
                   f"{case.params['block_size']} it is {wanted[row, column]}",
                   expected={"y": wanted}, observed={"y": seen})  # fmt: skip
