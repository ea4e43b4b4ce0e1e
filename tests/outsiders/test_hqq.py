"""Float zero points beside HQQ on a CPU (measured: 0.2.8.post1, torch 2.13.0). All is equal."""

import numpy as np
import pytest

from refquant.formats.float_zero_point import dequantize, quantize
from tests.refquant.formats.codebook_inputs import many

torch = pytest.importorskip("torch", reason="HQQ needs PyTorch; see `make outsiders`")
hqq = pytest.importorskip("hqq.core.quantize", reason="the outsider itself; see `make outsiders`")

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("num_bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("round_zero", [False, True])
@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-5, 100.0])
def test_codes_parameters_and_values_are_theirs(
    num_bits: int, axis: int, round_zero: bool, size: float
) -> None:
    w = (many(60, count=32 * 64) * np.float32(size)).reshape(32, 64)
    w[:, 3], w[5], w[7] = 0.5, 0.25, np.round(w[7] * 8) / 8  # constant groups, and ties
    codes, meta = hqq.Quantizer.quantize(
        torch.from_numpy(w), nbits=num_bits, group_size=32, optimize=False,
        round_zero=round_zero, axis=axis, bitpack=False, device="cpu",
    )  # fmt: skip
    q = quantize(w, num_bits=num_bits, group_size=32, axis=axis, round_zero=round_zero)
    assert np.array_equal(q.codes, codes.numpy()), "codes"
    assert np.array_equal(q.scale, meta["scale"].numpy()), "scale"
    assert np.array_equal(q.zero_point, meta["zero"].numpy()), "zero point"
    values = hqq.Quantizer.dequantize(codes, meta | {"compute_dtype": torch.float32})
    assert np.array_equal(dequantize(q), values.numpy()), "values"
