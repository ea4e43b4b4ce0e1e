"""Parameters of operands, and codes of reals."""

import numpy as np

from refquant_conformance.arithmetic.elementwise_probes import binary_case
from refquant_conformance.arithmetic.rules import qparams, real_quantized, rule


def test_a_rule_is_scale_and_zero_point() -> None:
    case = binary_case(
        "qlinear_add", "u8", np.array([1]), np.array([2]), ((0.5, 3), (1.0, 0), (2.0, 9))
    )
    assert rule(case, "a") == (0.5, 3), "of a"
    assert (float(qparams(case, "y").scale), qparams(case, "y").dtype) == (2.0, "uint8"), "of y"


def test_an_early_zero_point_moves_a_tie() -> None:
    v = np.array([1.5], np.float32)
    assert real_quantized(v, (1.0, 1), (0, 255)).tolist() == [3], "late"
    assert real_quantized(v, (1.0, 1), (0, 255), early=True).tolist() == [2], "early"
