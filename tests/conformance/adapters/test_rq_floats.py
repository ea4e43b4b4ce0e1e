"""Float results, as files of our own: the reference executes them to the bit that was asked."""

import pytest

from refquant.contracts import preset
from refquant.model.execute import run
from refquant_conformance.adapters.rq_floats import FLOATS
from refquant_conformance.adapters.rq_graphs import feeds_of, graph_of
from refquant_conformance.arithmetic import ARITHMETICS, Arithmetic
from refquant_conformance.arithmetic.base import same_bits

MEMBER = {"sums": "ordered", "scale": "of_weights", "variance": "two_pass",
          "inverse": "reciprocal", "function": "stepwise"}  # fmt: skip
FAMILIES = [arithmetic for arithmetic in ARITHMETICS if arithmetic.op in FLOATS]


def test_every_operator_here_has_an_arithmetic() -> None:
    assert {arithmetic.op for arithmetic in FAMILIES} == set(FLOATS), "some have none"


@pytest.mark.parametrize("arithmetic", FAMILIES, ids=lambda arithmetic: arithmetic.op)
def test_the_file_computes_what_the_arithmetic_does(arithmetic: Arithmetic) -> None:
    axes = {axis: MEMBER[axis] for axis in arithmetic.axes}
    for case in arithmetic.probes(arithmetic.schemes[0]):
        wanted = arithmetic.compute(case, axes)
        assert wanted is not None, "refused"
        seen = run(graph_of(case, preset("ort")), feeds_of(case))
        for name, array in wanted.items():
            assert same_bits(seen[name], array).all(), f"{arithmetic.op}: {name}"
