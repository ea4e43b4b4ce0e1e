"""What moves codes in ONNX: its nodes, and which contract onnxruntime has there."""

from dataclasses import replace

import numpy as np
import pytest

from refquant_conformance.adapters.onnx_cases import model_of
from refquant_conformance.adapters.onnx_movement import MOVED, MOVED_PAIRS
from refquant_conformance.adapters.onnxruntime import OnnxRuntime
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic.movement import MOVE, moved_case
from refquant_conformance.identify import identify
from refquant_conformance.protocol import Unsupported
from refquant_conformance.subject import Local

FOUND = {
    ("", "qlinear_concat"): {"concat": "quotient"},
    ("", "max_pool"): {"padding": "ignored"},
    ("", "move"): {"padding": "zero_point"},
    ("", "resize_nearest"): {"source": "divided"},
    ("", "resize_bilinear"): {"interpolate": "truncated"},
    ("qdq", "qlinear_concat"): {"concat": "quotient"},
    ("qdq", "max_pool"): {"padding": "ignored"},
    ("qdq", "move"): {"padding": "zero_point"},
    ("qdq", "resize_nearest"): {"source": "divided"},
    ("qdq", "resize_bilinear"): {"interpolate": "of_reals"},
}
"""What onnxruntime 1.32.0 computes, by setting and operator."""


@pytest.mark.parametrize(("setting", "op"), FOUND)
def test_onnxruntime_is_identified(setting: str, op: str) -> None:
    found = identify(Local(OnnxRuntime(setting)), op, "i8")
    assert [dict(axes) for axes in found.consistent] == [FOUND[setting, op]], found.name
    assert not found.trouble, f"{found.trouble}"


def test_every_operator_of_both_styles_has_its_nodes() -> None:
    assert MOVED.keys() == MOVED_PAIRS.keys(), "one style has more"
    for op in MOVED:
        direct = model_of(sample(op, "u8"), style="direct")
        pairs = [node.op for node in model_of(sample(op, "u8"), style="pairs").nodes]
        assert len(direct.nodes) == 1, f"{op}: {direct.nodes}"
        assert (pairs[0], pairs[-1]) == ("DequantizeLinear", "QuantizeLinear"), f"{op}: {pairs}"


def test_codes_are_padded_with_the_zero_point_and_reals_with_zero() -> None:
    case = moved_case("move", "u8", np.zeros((1, 2)), 77, kind="pad", pads=(0, 1, 0, 0))
    direct = model_of(case, style="direct")
    assert int(direct.constants["fill"][1]) == 77, "the code of the real 0"
    assert "fill" not in model_of(case, style="pairs").constants, "0 by default"


def test_a_movement_without_a_node_is_refused() -> None:
    case = MOVE.probes("u8")[0]
    with pytest.raises(Unsupported, match="by turning"):
        model_of(replace(case, params={"kind": "turning"}), style="direct")
