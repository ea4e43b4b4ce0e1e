"""The preset ``qonnx`` beside int_quant of qonnx 1.0.0: the reals that the codes mean."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import dequantize, quantize
from tests.refquant.contracts.preset_inputs import EDGES, rulers

intquant: Any = pytest.importorskip(
    "qonnx.custom_op.general.intquant", reason="the outsider itself; see `make outsiders`"
)

pytestmark = pytest.mark.torch


def test_reals() -> None:
    """It clamps v = x / s + z before it rounds; NaN stays NaN there, and has no code here."""
    f32 = np.float32
    for x, p in rulers("int8", (0, 1, -7, -128, 127), edges=EDGES[:-1]):
        with np.errstate(all="ignore"):
            theirs = intquant.int_quant(x, p.scale, f32(p.zero_point), f32(8), True, False, "ROUND")
        mine = dequantize(quantize(x, p, contract=preset("qonnx")), p)
        np.testing.assert_array_equal(mine, theirs, err_msg=f"{p}")
