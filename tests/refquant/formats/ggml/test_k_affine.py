"""Two levels with a minimum: importance weights, the largest scale, exact products."""

import numpy as np

from refquant.formats.ggml import q2_k, q4_k, q5_k
from refquant.formats.ggml.blocks import from_half, to_half
from refquant.formats.ggml.k_affine import decode_affine, fit_affine, importance_weights, recode
from tests.refquant.formats.ggml.k_scalar import divide, mul, total
from tests.refquant.formats.ggml.simple import f32


def test_weights_are_those_of_a_scalar_program() -> None:
    rng = np.random.default_rng(9)
    x = (rng.standard_normal((2, 256)) * 10.0 ** rng.uniform(-3, 3, (2, 256))).astype(np.float32)
    h = rng.random((2, 256)).astype(np.float32)
    for factor, size in ((1, 16), (2, 32)):
        got = importance_weights(x, h, size=size, factor=factor).T.reshape(2, 256)
        for b in range(2):
            square = [mul(v, v) for v in x[b].tolist()]
            sigma2 = divide(mul(float(factor), total(square)), 256.0)
            sums = [f32(sigma2 + s) for s in square]
            expected = [mul(a, f32(s**0.5)) for a, s in zip(h[b].tolist(), sums, strict=True)]
            assert got[b].tolist() == expected, f"factor {factor}, block {b}"


def test_the_largest_scale_gets_the_largest_code() -> None:
    x = np.zeros((1, 256), np.float32)
    for j in range(8):
        x[0, 32 * j : 32 * j + 16] = np.arange(16) * (j + 1)
    with np.errstate(all="ignore"):
        fit = fit_affine(x, None, q4_k.KIND)
    assert fit.scales.tolist() == [[8, 16, 24, 32, 39, 47, 55, 63]], "round(63 (j + 1) / 8)"
    assert from_half(fit.d).tolist() == [float(np.float16(8 / 63))], "d = f16(8 / 63)"
    codes = recode(x, fit, fit.scales, fit.minimums, q4_k.KIND)
    assert codes[0, 4 * 32 : 4 * 32 + 16].tolist() == [*range(15), 15], "with s = 39, not 39.375"


def test_both_products_are_exact_in_float32() -> None:
    top = np.array([65504.0], np.float32)  # a half with eleven ones
    codes = np.full((1, 256), 31, np.uint8)
    scales, zeros = np.full((1, 8), 63, np.uint8), np.zeros((1, 8), np.uint8)
    got = decode_affine(to_half(top), to_half(top), scales, zeros, codes)
    assert float(got[0, 0]) == 65504 * 63 * 31, "11 + 6 + 5 bits are not more than 24"


def test_importance_draws_the_error_to_the_unimportant() -> None:
    rng = np.random.default_rng(12)
    x = rng.standard_normal((64, 256)).astype(np.float32)
    importance = np.where(np.arange(256) % 2, 100, 1).astype(np.float32)
    for module in (q2_k, q4_k, q5_k):
        plain = (module.decode(module.encode(x)) - x) ** 2
        weighted = (module.decode(module.encode(x, importance=importance)) - x) ** 2
        assert weighted[:, 1::2].sum() < plain[:, 1::2].sum(), f"{module.__name__}: important"
        assert weighted[:, ::2].sum() > plain[:, ::2].sum(), f"{module.__name__}: unimportant"
