"""Small ranges that nothing replaces, a middle rounded down: written down from the libraries."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts.axes import AxisValue
from refquant_conformance.arithmetic.base import candidates
from refquant_conformance.arithmetic.parameters import ASYMMETRIC, SYMMETRIC, choose_case
from refquant_conformance.arithmetic.parameters_small import BELOW, KEPT, belongs_elsewhere

Choice = dict[str, AxisValue]
PLAIN: Choice = {
    "parameter_dtype": "float32",
    "inverse": "of_scale",
    "scale_dtype": "float32",
}
SIDES: Choice = {
    **PLAIN,
    "symmetric_scale": "amax_over_half_range",
    "weight_range": "full",
}
SIDES |= {"weight_range": "full", "zero_point": "integer", "zero_range_scale": 1.0}
ENDS: Choice = {
    **PLAIN,
    "zero_point_from": "qmin",
    "zero_point_rounding": "half_even",
}
ENDS |= {
    "zero_point_rounding": "half_even",
    "zero_point_dtype": "parameter_dtype",
    "zero_range_scale": 1.0,
}

BY_HAND: dict[str, tuple[str, tuple[float, float], Any, tuple[float, int]]] = {
    # scheme, range, axes: scale, zero point
    "quanto keeps 0": ("asymmetric_u8", (0, 0), {"small_range": "kept"}, (0.0, 0)),
    "-2 is beyond every code": ("asymmetric_u8", (-2, -2), {"small_range": "kept"}, (0.0, 255)),
    "1 is below every code": ("asymmetric_u8", (1, 1), {"small_range": "kept"}, (0.0, 0)),
    "compressed-tensors keeps what is subnormal": (
        *("asymmetric_i8", (-1e-39, 2e-39), {"small_range": "replace_zero"}),
        (1.1765301906471164e-41, -43),
    ),
    "and has no scale of 0": (
        *("symmetric_i8", (0, 0), {"small_range": "replace_zero"}),
        (1.0, 0),
    ),
    "PyTorch's middle of uint8": (
        *("symmetric_u8", (-3e3, 3e3), {"small_range": "replace", "zero_point": BELOW}),
        (float(np.float32(3e3) / np.float32(127.5)), 127),
    ),
}


@pytest.mark.parametrize("what", BY_HAND)
def test_parameters_by_hand(what: str) -> None:
    scheme, ends, changed, wanted = BY_HAND[what]
    symmetric = scheme.startswith("symmetric")
    family, base = (SYMMETRIC, SIDES) if symmetric else (ASYMMETRIC, ENDS)
    includes: Choice = {} if symmetric else {"range_includes_zero": "i8" in scheme}
    axes = {**base, **includes, **changed}
    case = choose_case(scheme, np.array(ends, np.float32))
    made = family.compute(case, axes)
    assert made is not None, "refused"
    assert (float(made["scale"]), int(made["zero_point"])) == wanted, f"{what}: {made}"
    counted = tuple(family.exact(case, axes, output, 0) for output in ("scale", "zero_point"))
    assert counted == wanted, f"{what}, by the oracle: {counted}"


@pytest.mark.parametrize("family", [SYMMETRIC, ASYMMETRIC], ids=["symmetric", "asymmetric"])
def test_reference_and_oracle_agree_on_every_probe(family) -> None:  # type: ignore[no-untyped-def]  # parametrized
    own = [
        a for a in candidates(family) if a["small_range"] in KEPT or a.get("zero_point") == BELOW
    ]
    assert own, "no choice has a value of this file"
    for axes in own[:: max(1, len(own) // 5)]:
        for scheme in family.schemes:
            for case in family.probes(scheme):
                made = family.compute(case, axes)
                for output in ("scale", "zero_point"):
                    told = None if made is None else made[output].item()
                    counted = family.exact(case, axes, output, 0)
                    assert told == counted, f"{scheme} {case.inputs['x']} {dict(axes)}: {output}"


def test_values_that_do_not_go_together_are_no_candidates() -> None:
    assert belongs_elsewhere({"small_range": "kept", "zero_range_scale": 0.1}), "no scale is given"
    assert not belongs_elsewhere({**SIDES, "small_range": "kept"}), "PyTorch's"
    assert belongs_elsewhere({**SIDES, "small_range": "kept", "inverse": "stored"}), "an inverse"
    twelve = {**SIDES, "small_range": "replace", "zero_point": BELOW}
    assert not belongs_elsewhere(twelve), "half a range"
    assert belongs_elsewhere({**twelve, "symmetric_scale": "amax_over_qmax"}), "the middle is in it"
