"""Walks along the reals, and which schemes a property speaks of."""

import numpy as np
import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.properties import quantizers
from refquant_conformance.subject import Local
from refquant_conformance.trial import NotApplicable, Trial


def trial(scheme: str, op: str = "quantize_linear") -> Trial:
    return Trial(Local(load_backend("reference:onnx")), op, scheme, None, {"rounding": "floor"})


def test_schemes_are_chosen_by_their_types() -> None:
    assert quantizers.of_tensors(trial("f32_i4")) == (-8, 7), "int4 codes"
    assert quantizers.of_tensors(trial("i4_f32", "dequantize_linear")) == (-8, 7), "read backwards"
    assert quantizers.of_bytes(trial("f32_u8")) == (0, 255), "bytes"
    for scheme, ask in (
        ("f32_u8_channel", quantizers.of_tensors),
        ("f16_u8", quantizers.of_tensors),
        ("f32_u16", quantizers.of_bytes),
    ):
        with pytest.raises(NotApplicable):
            ask(trial(scheme))


def test_ties_lie_between_inner_codes() -> None:
    for qmin, qmax, z in ((0, 255, 2), (-128, 127, -100), (-8, 7, 0)):
        steps = np.array(quantizers.interior(qmin, qmax, z))
        assert steps.min() + z > qmin, f"the lowest tie touches {qmin}"
        assert steps.max() + 1 + z < qmax, f"the highest tie touches {qmax}"


def test_other_cells_and_rules_are_seen() -> None:
    asked = trial("f32_u8")
    assert quantizers.computes(asked, "quantize_linear", "f32_i8"), "the reference computes it"
    assert not quantizers.computes(asked, "quantize_linear", "nothing"), "no such scheme"
    assert not quantizers.nearest(asked), "floor is no nearest rule"
