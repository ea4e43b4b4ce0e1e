"""Quantizers of float16: by hand, and against the oracle for every choice."""

import random

import numpy as np

from refquant_conformance.arithmetic.base import candidates
from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.arithmetic.quantize_f16 import HALVES, QUANTIZE_F16

PLAIN = {"intermediate": "float16", "rounding": "half_even", "scale_op": "divide_f32",
         "zero_point_at": "after_rounding", "overflow": "saturate", "nan": "qmin"}  # fmt: skip


def test_the_precision_of_the_quotient_shows_at_a_tie() -> None:
    """In float16 some quotients are ties that are none in float32."""
    x = HALVES[np.isfinite(HALVES)]
    case = case_of("f16_u8", x, float(np.float16(1 / 3)), 0)
    narrow = QUANTIZE_F16.compute(case, PLAIN)
    wide = QUANTIZE_F16.compute(case, {**PLAIN, "intermediate": "float32"})
    assert narrow is not None, "refused"
    assert wide is not None, "refused"
    assert (narrow["y"] != wide["y"]).any(), "no float16 tells the precisions apart"


def test_every_choice_computes_what_the_oracle_counts() -> None:
    rng = random.Random(16)
    choices = list(candidates(QUANTIZE_F16))
    x = np.concatenate([HALVES[:: 2**16 // 24], [np.float16(np.nan)]]).astype(np.float16)
    for axes in rng.sample(choices, 60):
        case = case_of("f16_i8", x, float(np.float16(0.3)), rng.choice([-128, -1, 0, 3, 127]))
        made = QUANTIZE_F16.compute(case, axes)
        for index in range(x.size):
            if made is not None:
                counted = QUANTIZE_F16.exact(case, axes, "y", index)
                assert made["y"][index] == counted, f"{x[index]} with {dict(axes)}"


def test_what_is_no_scale_is_refused() -> None:
    for scale in (0.0, -1.0, np.inf, np.nan):
        case = case_of("f16_u8", np.ones(1, np.float16), scale, 0)
        assert QUANTIZE_F16.compute(case, PLAIN) is None, f"{scale}"
        assert QUANTIZE_F16.exact(case, PLAIN, "y", 0) is None, f"{scale}"
