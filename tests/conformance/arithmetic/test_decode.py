"""Decoding: every code of every small float is what the oracle counts."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.decode import DECODE, codes_of, decode_case


@pytest.mark.parametrize("scheme", DECODE.schemes)
@pytest.mark.parametrize("how", ["kept", "flushed"])
def test_every_code_means_what_the_oracle_says(scheme: str, how: str) -> None:
    axes = {"subnormals": how}
    case = decode_case(scheme, codes_of(scheme))
    made = DECODE.compute(case, axes)
    assert made is not None, "refused"
    step = 1 if case.inputs["x"].size <= 256 else 37
    for index in range(0, case.inputs["x"].size, step):
        counted, got = DECODE.exact(case, axes, "y", index), float(made["y"][index])
        assert counted is not None, "the oracle refuses"
        same = np.isnan(got) and np.isnan(counted)
        same |= got == counted and np.signbit(got) == np.signbit(counted)
        assert same, f"{scheme} {index:#x}: {got}, oracle {counted}"


def test_the_axis_is_told_apart_in_every_scheme() -> None:
    for scheme in DECODE.schemes:
        (case,) = DECODE.probes(scheme)
        kept, flushed = (DECODE.compute(case, {"subnormals": how}) for how in ("kept", "flushed"))
        assert kept is not None, "refused"
        assert flushed is not None, "refused"
        assert kept["y"].tobytes() != flushed["y"].tobytes(), f"{scheme} has no subnormal number"
