"""Codes that move, as files of our own: the reference executes them to what was asked."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.execute import run
from refquant_conformance.adapters.rq_graphs import feeds_of, graph_of
from refquant_conformance.adapters.rq_movement import MOVED
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.protocol import Unsupported

AXES = {"qlinear_concat": {"concat": "quotient"}, "max_pool": {"padding": "ignored"},
        "move": {"padding": "zero_point"}}  # fmt: skip


@pytest.mark.parametrize("op", MOVED)
@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_the_file_computes_what_the_arithmetic_does(op: str, scheme: str) -> None:
    arithmetic = arithmetic_of(op, scheme)
    assert arithmetic is not None, "every operator here has one"
    for case in [sample(op, scheme), *arithmetic.probes(scheme)[::3]]:
        wanted = arithmetic.compute(case, AXES[op])
        assert wanted is not None, "refused"
        seen = run(graph_of(case, preset("ort")), feeds_of(case))["y"]
        assert np.array_equal(seen, wanted["y"]), f"{op} {scheme} {dict(case.params)}"


def test_operands_with_the_output_s_rule_need_no_table() -> None:
    graph = graph_of(sample("qlinear_concat", "u8"), preset("ort"))
    assert [node.op for node in graph.nodes] == ["Concat"], f"{graph.nodes}"
    probe = arithmetic_of("qlinear_concat", "u8").probes("u8")[0]  # type: ignore[union-attr]  # it has
    ops = [node.op for node in graph_of(probe, preset("ort")).nodes]
    assert ops == ["Requantize", "Requantize", "Concat"], f"{ops}"


def test_a_resize_is_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="no resize_nearest"):
        graph_of(sample("resize_nearest", "u8"), preset("ort"))
