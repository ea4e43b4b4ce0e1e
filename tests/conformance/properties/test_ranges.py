"""Both operators that choose parameters are asked alike."""

import numpy as np

from refquant_conformance.adapters import load_backend
from refquant_conformance.properties import ranges
from refquant_conformance.subject import Local
from refquant_conformance.trial import Trial


def trial(op: str, scheme: str) -> Trial:
    return Trial(Local(load_backend("reference:onnx")), op, scheme, None, None)


def test_an_answer_is_a_scale_a_zero_point_and_maybe_codes() -> None:
    x = np.array([-1.0, 1.55], np.float32)
    dynamic = trial("dynamic_quantize_linear", "f32_u8")
    found = ranges.ask(dynamic, ranges.case(dynamic, x))
    assert found is not None, "the reference computes it"
    assert found.codes is not None, f"{found}"
    assert (found.zero_point, found.codes.tolist()) == (100, [0, 255]), f"{found}"
    chosen = trial("choose_qparams", "symmetric_i4")
    other = ranges.ask(chosen, ranges.case(chosen, x))
    assert other is not None, "the reference computes it"
    assert other.codes is None, f"{other}"
    assert ranges.codes_of(chosen) == (-8, 7), "the codes are those of the scheme's name"
    kinds = ranges.symmetric(chosen), ranges.symmetric(dynamic)
    assert kinds == (True, False), "by the scheme's name"


def test_a_refusal_is_none() -> None:
    chosen = trial("choose_qparams", "asymmetric_u8")
    assert ranges.ask(chosen, ranges.case(chosen, np.zeros(0, np.float32))) is None, "empty data"
