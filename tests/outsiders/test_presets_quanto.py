"""The preset ``quanto`` beside optimum-quanto 0.2.7: codes, parameters, reals."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import QParams, choose_qparams, quantize
from tests.refquant.contracts.preset_inputs import Array, Float32, differing_codes, rows

torch = pytest.importorskip("torch", reason="quanto needs PyTorch; see `make outsiders`")
quanto: Any = pytest.importorskip("optimum.quanto", reason="the outsider itself")

pytestmark = pytest.mark.torch


def test_symmetric_codes() -> None:
    def theirs(x: Float32, p: QParams) -> Array:
        codes: Array = torch.ops.quanto.quantize_symmetric(
            torch.from_numpy(x), torch.int8, None, torch.tensor(p.scale)
        ).numpy()
        return codes

    assert differing_codes("quanto", "int8", (0,), theirs) == [], "divide, NaN to 0"


def test_integer_shifts_are_added_after_rounding() -> None:
    def theirs(x: Float32, p: QParams) -> Array:
        shift = torch.tensor(int(p.zero_point), dtype=torch.uint8)
        codes: Array = torch.ops.quanto.quantize_affine(
            torch.from_numpy(x), 4, 0, None, torch.tensor(p.scale), shift
        ).numpy()
        return codes

    assert differing_codes("quanto", "uint4", (0, 1, 8, 15), theirs) == [], "round, then shift"


def test_float_shifts_go_first() -> None:
    for x in rows("uint4"):
        if x.min() == x.max():
            continue  # A_POINT_HAS_SCALE_ZERO, below
        both = torch.from_numpy(np.stack([x, x]))
        scale, shift = quanto.MaxOptimizer()(both, quanto.qint4, 0)
        p = choose_qparams(
            x.min(), x.max(), dtype="uint4", symmetric=False, contract=preset("quanto")
        )
        assert (p.scale, -p.zero_point) == (scale[0].item(), shift[0].item()), f"of {p}"
        codes = torch.ops.quanto.quantize_affine(both, 4, 0, None, scale, shift).numpy()[0]
        mine = quantize(x, p, contract=preset("quanto"))
        np.testing.assert_array_equal(mine, codes, err_msg=f"codes of {p}")


A_POINT_HAS_SCALE_ZERO = 0.0
"""A row of one value has scale 0 there; 0/0 is NaN, cast to 0, and 0 * 0 - shift is the value:
right by accident, and the same code as here, where the scale is 1. Minimal input: [5.0, 5.0]."""


def test_a_point() -> None:
    both = torch.full((2, 4), 5.0)
    scale, shift = quanto.MaxOptimizer()(both, quanto.qint4, 0)
    assert scale[0].item() == A_POINT_HAS_SCALE_ZERO, "if this changes, the entry goes"
    codes = torch.ops.quanto.quantize_affine(both, 4, 0, None, scale, shift).numpy()[0]
    five = np.float32(5)
    p = choose_qparams(five, five, dtype="uint4", symmetric=False, contract=preset("quanto"))
    assert quantize(np.full(4, five), p, contract=preset("quanto")).tolist() == codes.tolist(), "0"
