"""Casts: every family against the oracle, and every pair of values of every axis told apart."""

from itertools import combinations

import numpy as np
import pytest

from refquant_conformance.arithmetic.base import Axes, candidates, same_bits
from refquant_conformance.arithmetic.cast import CASTS
from refquant_conformance.arithmetic.cast_probes import cast_case
from refquant_conformance.oracle_casts import cast_exact

CELLS = [(a, scheme) for a in CASTS for scheme in a.schemes]
IDS = [scheme for _, scheme in CELLS]


def some(axes: list[Axes], count: int) -> list[Axes]:
    return axes[:: max(1, len(axes) // count)]


@pytest.mark.parametrize(("arithmetic", "scheme"), CELLS, ids=IDS)
def test_every_family_computes_what_the_oracle_counts(arithmetic, scheme: str) -> None:  # type: ignore[no-untyped-def]  # parametrized
    rng = np.random.default_rng(7)
    for axes in some(list(candidates(arithmetic)), 12):
        for case in arithmetic.probes(scheme):
            made = arithmetic.compute(case, axes)
            for index in rng.integers(0, case.inputs["x"].size, 6).tolist():
                counted = arithmetic.exact(case, axes, "y", index)
                if made is None:
                    assert counted is None, f"{dict(axes)}: only one refuses"
                    continue
                got = made["y"][index].item()
                same = got == counted or (np.isnan(got) and np.isnan(counted))
                told = f"{case.inputs['x'][index]!r} by {dict(axes)}: {got}, oracle {counted}"
                assert same, told


@pytest.mark.parametrize(("arithmetic", "scheme"), CELLS, ids=IDS)
def test_probes_tell_the_values_of_each_axis_apart(arithmetic, scheme: str) -> None:  # type: ignore[no-untyped-def]  # parametrized
    known = {(e.axis, frozenset(e.values)) for e in arithmetic.equal if scheme in e.schemes}
    base = {axis: values[0] for axis, values in arithmetic.axes.items()}
    for axis, values in arithmetic.axes.items():
        for a, b in combinations(values, 2):
            pair = [{**base, axis: value} for value in (a, b)]
            differ = False
            for case in arithmetic.probes(scheme):
                one, other = (arithmetic.compute(case, axes) for axes in pair)
                if one is None or other is None:
                    differ |= (one is None) != (other is None)
                else:
                    differ |= not same_bits(one["y"], other["y"]).all()
            equal = (axis, frozenset((a, b))) in known
            assert differ != equal, f"{scheme}: {axis} = {a}, {b}"


BY_HAND: dict[str, tuple[str, float, int, dict[str, str], int]] = {
    # what, scheme, number, axes, code
    "464 is the tie above 448, whose mantissa is even": ("f32_e4m3fn", 464.0, 0, {}, 0x7E),
    "above the tie there is no number": ("f32_e4m3fn", 465.0, 0, {"fp_overflow": "nan"}, 0x7F),
    "-0 of FNUZ is 0": ("f32_e4m3fnuz", -0.0, 1, {}, 0),
    "1 + 2^-8 + 2^-40 is above a tie": ("f64_bf16", 1 + 2.0**-8 + 2.0**-40, 2, {}, 0x3F81),
    "and is the tie, as a float32": (
        *("f64_bf16", 1 + 2.0**-8 + 2.0**-40, 2, {"via": "via_f32"}, 0x3F80),
    ),
    "1.75 of FP4 is a tie, 2 is even": ("f32_e2m1fn", 1.75, 3, {}, 4),
    "1.45 is nearer to 2 by its logarithm": ("f32_e8m0fnu", 1.45, 4, {"e8m0": "nearest_log2"}, 128),
}


@pytest.mark.parametrize("what", BY_HAND)
def test_codes_by_hand(what: str) -> None:
    scheme, x, family, changed, code = BY_HAND[what]
    arithmetic = CASTS[family]
    axes = {**{axis: values[0] for axis, values in arithmetic.axes.items()}, **changed}
    source = {"f32": np.float32, "f64": np.float64}[scheme[:3]]
    case = cast_case(scheme, np.array([x], source))
    made = arithmetic.compute(case, axes)
    assert made is not None, "refused"
    assert made["y"].item() == code, f"{what}: {made['y'].item():#x}"
    assert cast_exact(float(case.inputs["x"][0]), case.types["y"], axes) == code, (
        f"{what}, by the oracle"
    )
