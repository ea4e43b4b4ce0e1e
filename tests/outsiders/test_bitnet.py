"""BitNet's two functions beside the operations of PyTorch that its authors print (torch 2.13.0)."""

import numpy as np
import pytest

from refquant.formats.bitnet import dequantize, quantize_activations, quantize_weights
from tests.refquant.formats.codebook_inputs import many

torch = pytest.importorskip("torch", reason="asks its arithmetic; see `make outsiders`")

pytestmark = pytest.mark.torch

MEAN_OF_ANOTHER_ORDER = 2.0**-19
"""torch's mean adds float32 in an order of its own; 6144 magnitudes: log2(n) * 2^-24 < 13 * 2^-24,
Higham, "Accuracy and Stability", eq. (4.6)."""


@pytest.mark.parametrize("size", [1.0, 1e-6, 1e3])
def test_weights_are_theirs(size: float) -> None:
    w = many(61, count=64 * 96).reshape(64, 96) * np.float32(size)
    mean = torch.from_numpy(w).abs().mean()
    inverse = 1.0 / mean.clamp(min=1e-5)
    codes = torch.clamp(torch.round(torch.from_numpy(w) * inverse), -1, 1)
    q = quantize_weights(w, mean=float(mean))
    assert np.array_equal(q.codes, codes.numpy()), "codes"
    assert float(q.inverse_scale) == float(inverse), "inverse scale"
    assert np.array_equal(dequantize(q), (codes / inverse).numpy()), "values"
    ours = 1 / float(quantize_weights(w).inverse_scale)
    assert abs(ours / max(float(mean), 1e-5) - 1) <= MEAN_OF_ANOTHER_ORDER, "the exact mean"


@pytest.mark.parametrize("size", [1.0, 1e-6, 1e3])
def test_activations_are_theirs(size: float) -> None:
    x = many(62, count=64 * 96).reshape(64, 96) * np.float32(size)
    largest = torch.from_numpy(x).abs().amax(dim=-1, keepdim=True)
    inverse = 127.0 / largest.clamp(min=1e-5)
    codes = torch.clamp(torch.round(torch.from_numpy(x) * inverse), -128, 127)
    q = quantize_activations(x)
    assert np.array_equal(q.codes, codes.numpy()), "codes"
    assert np.array_equal(q.inverse_scale, inverse.numpy()), "inverse scale"
    assert np.array_equal(dequantize(q), (codes / inverse).numpy()), "values"
