"""ml_dtypes 0.6 as a backend: what its casts are identified as, and where they are none of ours."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from refquant_conformance.adapters.mldtypes import MlDtypes
from refquant_conformance.arithmetic.cast_probes import cast_case
from refquant_conformance.arithmetic.decode import codes_of, decode_case
from refquant_conformance.identify import identify
from refquant_conformance.protocol import Case, Unsupported
from refquant_conformance.subject import Local

THEIRS = MlDtypes()
SUBJECT = Local(THEIRS, "ml_dtypes")
CASTS = {
    # the axes that are not the specification's
    "f32_e4m3fn": {"fp_overflow": "ieee", "infinity": "ieee"},
    "f32_e5m2": {"fp_overflow": "ieee", "infinity": "ieee"},
    "f32_e4m3fnuz": {"fp_overflow": "nan", "fnuz_infinity": "nan"},
    "f64_bf16": {"via": "via_f32"},
    "i64_bf16": {"via": "via_f32"},
    "f64_e2m1fn": {"via": "via_f32", "nan_becomes": "opposite_zero"},
    "f32_e2m3fn": {"nan_becomes": "opposite_zero"},
    "f32_bf16": {"nan_sign": "kept"},
}


def test_the_cells_are_what_was_counted() -> None:
    seen = [cell.op for cell in THEIRS.capabilities()]
    assert {op: seen.count(op) for op in seen} == {"cast": 28, "decode": 9}, "came or went"


@pytest.mark.parametrize("scheme", CASTS)
def test_casts_are_identified(scheme: str) -> None:
    found = identify(SUBJECT, "cast", scheme)
    assert found.consistent, f"{scheme}: {found.nearest}, {found.mismatches}"
    first = found.consistent[0]
    for axis, value in CASTS[scheme].items():
        values = found.open_axes.get(axis, (first[axis],))
        assert value in values, f"{scheme}: {axis} = {values}"


def test_scales_just_above_the_least_are_rounded_up() -> None:
    """2^-127 (1 + 2^-22) is nearest to 2^-127, code 0; 0.6.0 gives 1, the code of 2^-126."""
    x = np.array([2.0**-127 * (1 + 2.0**-22), 2.0**-126 * (1 + 2.0**-23)], np.float32)
    got = THEIRS.run(cast_case("f32_e8m0fnu", x)).outputs["y"].tolist()
    assert got == [1, 1], f"ml_dtypes has come round: {got}"
    assert not identify(SUBJECT, "cast", "f32_e8m0fnu").consistent, "it is one of ours now"


def test_every_code_is_decoded() -> None:
    for scheme in ("e4m3fn_f32", "e8m0fnu_f32", "e2m1fn_f32"):
        found = identify(SUBJECT, "decode", scheme)
        assert [a["subnormals"] for a in found.consistent] == ["kept"], scheme


def test_what_it_has_not_is_unsupported() -> None:
    case = cast_case("f32_e5m2", np.array([1], np.float32))
    with pytest.raises(Unsupported, match="saturate"):
        THEIRS.run(replace(case, params={"saturate": 1}))
    with pytest.raises(Unsupported, match="no cast f32_f16"):
        THEIRS.run(cast_case("f32_f16", np.array([1], np.float32)))


PROGRAMS = [
    cast_case("f32_e5m2", np.array([1.25, -7], np.float32)),
    decode_case("e4m3fn_f32", codes_of("e4m3fn_f32")[:4]),
]


@pytest.mark.parametrize("case", PROGRAMS)
def test_the_program_prints_what_was_observed(case: Case) -> None:
    program = THEIRS.repro(case)
    assert "refquant" not in program, "needs this package"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert str(THEIRS.run(case).outputs["y"].tolist()) in said.stdout, said.stderr
