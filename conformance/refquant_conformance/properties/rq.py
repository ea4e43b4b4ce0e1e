"""RQ: requantization, seen through matrix products of codes.

RQ-10, accumulators of 48 and 64 bits, is asked of products of 16-bit codes: ``wide``.

References
----------
ONNX, QLinearMatMul-21; ``docs/spec/operators.md`` sections 3 and 4.
"""

import math
from dataclasses import replace

import numpy as np

from refquant_conformance.arithmetic.product_probes import (
    large,
    middle_of_y,
    near_ties,
    probes,
    product_case,
    rows_and_columns,
    zero_points,
)
from refquant_conformance.operators import types_of
from refquant_conformance.properties.refusals import expect_unless_refused
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial
from refquant_conformance.types import code_range

__all__: list[str] = []

_PRODUCT = ("qlinear_matmul",)
_CLAUSE = "operators.md section 4: y = clamp(requantize(acc, m[c]) + zy)"
_FIRST = ("u8_i8", "i8_i8")


def _main(trial: Trial) -> None:
    """Skip the schemes of which a property of the multiplier says nothing new."""
    if trial.scheme not in _FIRST:
        trial.skip("what a multiplier does is asked with " + " and ".join(_FIRST))


def _window(
    trial: Trial,
    targets: list[int],
    m: float,
    y_zero_point: int,
    limits: tuple[int | None, int | None] = (None, None),
) -> Case:
    """Return the case of accumulators around ``targets`` by the multiplier ``m`` alone."""
    a, b = rows_and_columns(trial.scheme, targets)
    points = zero_points(trial.scheme, y_zero_point)
    case = product_case(trial.scheme, a, b, (1.0, m, 1.0), points)
    return replace(case, params={"clamp_min": limits[0], "clamp_max": limits[1]})


def _bias_only(trial: Trial, bias: Array, scales: tuple[float, float, float]) -> Case:
    """Return the case whose accumulators are ``bias``: all products are 0."""
    za, zb, zy = zero_points(trial.scheme, middle_of_y(trial.scheme))
    a, b = np.full((1, 2), za), np.full((2, bias.size), zb)
    return product_case(trial.scheme, a, b, scales, (za, zb, zy), bias=bias)


@prop("RQ-01", "identify", ops=_PRODUCT, clause=_CLAUSE, catches="2.2")
def identified(trial: Trial) -> None:
    """One contract explains the answer to every case that tells two contracts apart."""
    trial.expect(*probes(trial.scheme))


@prop("RQ-02", "exhaustive_acc", ops=_PRODUCT, clause=_CLAUSE, catches="2.2")
def every_accumulator(trial: Trial) -> None:
    """Every accumulator of 16 bits, times awkward multipliers, is rounded as the contract says."""
    _main(trial)
    rng = np.random.default_rng([trial.seed, 2])
    targets = list(range(-(2**16) + 127, 2**16, 254))
    count = 3 if trial.profile.elements < 2**20 else 500
    fixed = [1 / 700.0, 0.0019]
    draws = np.exp2(rng.uniform(-12, -8, count)).tolist()
    trial.expect(*(_window(trial, targets, float(np.float32(m)), middle_of_y(trial.scheme))
                   for m in (*fixed, *draws)))  # fmt: skip


@prop("RQ-03", "decompose_multiplier", ops=_PRODUCT, clause="operators.md section 4",
      catches="TFLite QuantizeMultiplier")  # fmt: skip
def decomposed(trial: Trial) -> None:
    """Multipliers at and beside powers of two, and those that carry, keep all of their bits."""
    _main(trial)
    below, above = 1 - 2.0**-24, 1 + 2.0**-23
    cases = []
    for k in (1, 4, 7):
        for m in (2.0**-k, 2.0**-k * below, 2.0**-k * above):
            targets = [round((c + 0.5) / m) for c in (-90, -31, -3, 2, 40, 77)]
            cases.append(_window(trial, targets, m, middle_of_y(trial.scheme) + 5))
    scales = (above, below, 2.0)  # in float64 1/2 - 2^-47: 31 bits of it are 2^31
    cases.append(near_ties(trial.scheme, scales, middle_of_y(trial.scheme) + 5))
    trial.expect(*cases)


@prop("RQ-04", "srdhm_min_min", ops=_PRODUCT, clause="operators.md section 4, SRDHM",
      catches="saturation of the high product")  # fmt: skip
def lowest_accumulator(trial: Trial) -> None:
    """The lowest and the highest int32 are requantized like any other, and saturate nothing."""
    _main(trial)
    ends = np.array([-(2**31) + 1, 2**31 - 1, 2**31 - 2, -(2**30), 2**30], np.int64)
    # A loader that proves accumulators by their magnitude may refuse the lowest: it is alone.
    both = (np.array([-(2**31)]), ends)
    multipliers = (2.0**-24, 2.0**-25 * 1.5, 2.0**-31)
    scales = [(1.0, m, 1.0) for m in multipliers]
    expect_unless_refused(trial, *(_bias_only(trial, e, of) for e in both for of in scales))


@prop("RQ-05", "bias_free", ops=_PRODUCT, clause=_CLAUSE, catches="a side at ties (TOSA's idea)")
def no_bias_of_its_own(trial: Trial) -> None:
    """Over accumulators of both signs the mean error is that of the contract, to four sigma."""
    _main(trial)
    for k in (3, 5):
        m = 3 * 2.0**-k / 4
        centre = middle_of_y(trial.scheme)
        targets = sorted({sign * round(t / m) for t in range(4, 92, 8) for sign in (1, -1)})
        case = _window(trial, targets, m, centre)
        expected, got = trial.expected(case), trial.outputs(case)["y"].astype(np.int64)
        if expected is None:
            trial.skip("the contract has no such multiplier")
        off = got - expected["y"].astype(np.int64)
        # An error of rounding is uniform in [-1/2, 1/2]: variance 1/12 an output.
        limit = 4 * math.sqrt(off.size / 12)
        if abs(int(off.sum())) > limit:
            trial.fail(case, f"the errors sum to {off.sum()}, four sigma are {limit:.0f}")


@prop("RQ-06", "neg_tie", ops=_PRODUCT, clause=_CLAUSE, catches="2.2 (C against NEON)")
def negative_ties(trial: Trial) -> None:
    """Ties of negative and positive accumulators go where the contract says, also large ones."""
    _main(trial)
    cases = []
    for k in (9, 12, 14):
        targets = [sign * ((2 * c + 1) << (k - 1)) for c in (0, 1, 2, 7, 60) for sign in (1, -1)]
        for y in (middle_of_y(trial.scheme), middle_of_y(trial.scheme) + 1):
            cases.append(_window(trial, targets, 2.0**-k, y))
    trial.expect(*cases)


@prop("RQ-07", "scale_limits", ops=_PRODUCT, clause=_CLAUSE, catches="XNNPACK asserts")
def scale_limits(trial: Trial) -> None:
    """Multipliers from 2^-31 to 128 are shifted by their exponent, whatever its sign."""
    _main(trial)
    cases = [_window(trial, [0], float(m), middle_of_y(trial.scheme))
             for m in (2.0**-31, 3 * 2.0**-31, 2.0**-26, 1.0, 1.5, 2.0, 63.75, 128.0)]  # fmt: skip
    scales = ((2.0**-60, 2.0**-60, 2.0**-116), (2.0**50, 2.0**50, 2.0**104))
    points = zero_points(trial.scheme, middle_of_y(trial.scheme))
    a, b = rows_and_columns(trial.scheme, [0, 300])
    cases += [product_case(trial.scheme, a, b, of, points) for of in scales]
    trial.expect(*cases)


@prop("RQ-08", "clamp_order", ops=_PRODUCT, clause="operators.md section 4: clamp_min, clamp_max",
      catches="delegates")  # fmt: skip
def clamp_order(trial: Trial) -> None:
    """A fused activation clamps codes of the output, after the zero point is added."""
    qmin, qmax = code_range(types_of(trial.op, trial.scheme)["y"])
    centre = (qmin + qmax + 1) // 2 + 9
    limits: tuple[tuple[int | None, int | None], ...] = (
        *((centre, None), (None, centre + 30), (centre, centre + 60), (qmin + 3, qmax - 3)),
        *((centre - 40, centre - 20), (qmin, qmin), (qmax, qmax)),
    )
    trial.expect(*(_window(trial, [-400, 0, 400], 0.25, centre, pair)
                   for pair in limits))  # fmt: skip


@prop("RQ-09", "per_channel_equals_loop", ops=_PRODUCT, clause="operators.md section 4: m[c]",
      catches="channels mixed up")  # fmt: skip
def channels(trial: Trial) -> None:
    """Scales and zero points of columns give each column what it has alone."""
    if not trial.scheme.endswith("_channel"):
        trial.skip("speaks of one scale a column")
    rng = np.random.default_rng([trial.seed, 9])
    cases = []
    types = types_of(trial.op, trial.scheme)
    low_b, high_b = code_range(types["b"])
    za, zb, zy = zero_points(trial.scheme, middle_of_y(trial.scheme))
    for columns in (2, 5, 17):
        a = rng.integers(*code_range(types["a"]), (9, 8), endpoint=True)
        b = rng.integers(low_b, high_b, (8, columns), endpoint=True)
        scales = np.exp2(rng.uniform(-10, -7, columns)).astype(np.float32)
        cases.append(product_case(trial.scheme, a, b, (1.0, scales, 1.0), (za, zb, zy)))
        scales = np.full(columns, 2.0**-9, np.float32)
        scales[-1] = 2.0**-8
        cases.append(product_case(trial.scheme, a, b, (1.0, scales, 1.0), (za, zb, zy)))
    trial.expect(*cases)


@prop("RQ-11", "large_acc", ops=_PRODUCT, clause=_CLAUSE, catches="XNNPACK fp32")
def large_accumulators(trial: Trial) -> None:
    """Accumulators beyond 2^24 lose the bits that the contract says they lose, and no others."""
    _main(trial)
    trial.expect(large(trial.scheme, 2**25 + 2**22, 2.0**-19 * 0.7))
    trial.expect(large(trial.scheme, 2**26, 2.0**-20))
