"""The preset ``mlx`` beside mlx 0.32.4 on a CPU: scales, offsets, codes and reals of groups."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import choose_qparams, dequantize, quantize
from tests.refquant.contracts.preset_inputs import rows

mx: Any = pytest.importorskip("mlx.core", reason="the outsider itself; see `make outsiders`")

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("num_bits", [2, 4, 8])
def test_groups(num_bits: int) -> None:
    """Groups of 32: both ends of a range, and 30 values around ties of its marks."""
    mx.set_default_device(mx.cpu)
    for x in rows("uint4"):
        inner = np.resize(x[2:], (-(-len(x) // 30), 30))
        ends = np.broadcast_to([x.min(), x.max()], (len(inner), 2))
        w = np.ascontiguousarray(np.concatenate([ends, inner], axis=1, dtype=np.float32))
        packed, scales, biases = mx.quantize(mx.array(w), group_size=32, bits=num_bits)
        words = np.array(packed)[..., None] >> np.arange(0, 32, num_bits, dtype=np.uint32)
        codes = (words & np.uint32(2**num_bits - 1)).reshape(w.shape)
        reals = np.array(mx.dequantize(packed, scales, biases, group_size=32, bits=num_bits))
        p = choose_qparams(
            x.min(), x.max(), dtype=f"uint{num_bits}", symmetric=False, contract=preset("mlx")
        )
        assert (np.array(scales) == p.scale).all(), f"scale of {p}"
        assert (np.array(biases) == p.zero_point).all(), f"offset of {p}"
        mine = quantize(w, p, contract=preset("mlx"))
        np.testing.assert_array_equal(mine, codes, err_msg=f"codes of {p}")
        np.testing.assert_array_equal(dequantize(mine, p), reals, err_msg=f"reals of {p}")


def test_nan_is_code_0() -> None:
    mx.set_default_device(mx.cpu)
    w = np.linspace(1, 2, 32, dtype=np.float32)[None]
    w[0, 5] = np.nan
    packed, _, _ = mx.quantize(mx.array(w), group_size=32, bits=4)
    theirs = (int(np.array(packed)[0, 0]) >> 20) & 15
    p = choose_qparams(
        np.float32(1), np.float32(2), dtype="uint4", symmetric=False, contract=preset("mlx")
    )
    assert quantize(w, p, contract=preset("mlx"))[0, 5] == theirs == 0, "a cast of NaN"
