"""Blocks: every family against the oracle, and every pair of values of every axis told apart."""

from itertools import combinations

import numpy as np
import pytest

from refquant_conformance.arithmetic.base import Arithmetic, candidates
from refquant_conformance.arithmetic.blocks import DECODED, ENCODED, block_case

CELLS = [(a, scheme) for a in (*DECODED, *ENCODED) for scheme in a.schemes]
IDS = [f"{a.op}-{scheme}" for a, scheme in CELLS]


@pytest.mark.parametrize(("arithmetic", "scheme"), CELLS, ids=IDS)
def test_every_family_computes_what_the_oracle_counts(arithmetic: Arithmetic, scheme: str) -> None:
    for axes in candidates(arithmetic):
        for case in arithmetic.probes(scheme):
            made = arithmetic.compute(case, axes)
            assert made is not None, "refused"
            y = made["y"]
            for index in range(0, y.size, 1 + y.size // 40):
                counted, got = arithmetic.exact(case, axes, "y", index), y[index].item()
                assert counted is not None, "the oracle refuses"
                same = got == counted or (np.isnan(got) and np.isnan(counted))
                assert same, f"{scheme} {dict(axes)} [{index}]: {got}, oracle {counted}"


@pytest.mark.parametrize(("arithmetic", "scheme"), CELLS, ids=IDS)
def test_probes_tell_the_values_of_each_axis_apart(arithmetic: Arithmetic, scheme: str) -> None:
    for axis, values in arithmetic.axes.items():
        for a, b in combinations(values, 2):
            differ = False
            for case in arithmetic.probes(scheme):
                one, other = (arithmetic.compute(case, {axis: value}) for value in (a, b))
                assert one is not None, "refused"
                assert other is not None, "refused"
                differ |= one["y"].tobytes() != other["y"].tobytes()
            assert differ, f"{scheme}: {axis} = {a}, {b}"


def test_rows_that_end_within_a_block_are_refused_by_both() -> None:
    decoder, encoder = DECODED[0], ENCODED[0]
    bytes_of = block_case("block_dequantize", "q4_0", np.zeros(27, np.uint8))
    floats = block_case("block_quantize", "q4_0", np.zeros(33, np.float32))
    for arithmetic, case in ((decoder, bytes_of), (encoder, floats)):
        axes = next(iter(candidates(arithmetic)))
        assert arithmetic.compute(case, axes) is None, f"{arithmetic.op} by the reference"
        assert arithmetic.exact(case, axes, "y", 0) is None, f"{arithmetic.op} by the oracle"
