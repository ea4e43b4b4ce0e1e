"""FakeQuantize beside those who really round activations (measured: torch 2.13.0 on a CPU).

bitsandbytes 0.50.2 (LLM.int8), compressed-tensors 0.20.0 (per token, as vLLM's models say it), and
`torch._scaled_mm`, the operator that FP8 activations are for. Bit for bit, but for the named
entries.
"""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.ops.fake_quantize import fake_quantize
from tests.refquant.formats.block_oracles import blocks

torch = pytest.importorskip("torch", reason="the outsider itself; see `make outsiders`")
pytestmark = pytest.mark.torch

Array = np.ndarray[Any, Any]
F = np.float32
DATA = blocks(64, seed=8, count=40)

SUBNORMAL_SCALES = 2.0**-126
"""compressed-tensors computes with integer scales below this, ours are replaced by the contract's
2^-23 (docs/spec/operators.md, section 2.1): a scale is a normal number, for half of the hardware
flushes others to zero. Minimal input: a row with absmax 2^-127 is zeros here, itself there."""


def same(got: Array, want: Array, what: str) -> None:
    bad = got != want  # +0 == -0: torch's int8 has none, FP8 keeps it; the reals are compared
    assert not bad.any(), f"{what}: {bad.sum()} of {bad.size}, {got[bad][:3]} for {want[bad][:3]}"


@pytest.mark.parametrize(("kind", "format"), [("float", "fp8_e4m3"), ("int", "int8")])
@pytest.mark.parametrize(("strategy", "granularity"), [("token", "token"), ("tensor", "tensor")])
def test_compressed_tensors_dynamic(
    kind: str, format: str, strategy: str, granularity: str
) -> None:
    q = pytest.importorskip("compressed_tensors.quantization", reason="see `make outsiders`")
    helpers = pytest.importorskip("compressed_tensors.quantization.utils.helpers", reason="it")
    forward = pytest.importorskip("compressed_tensors.quantization.lifecycle.forward", reason="it")
    args = q.QuantizationArgs(
        num_bits=8, type=kind, strategy=strategy, dynamic=True, symmetric=True
    )
    contract = preset("compressed_tensors") if format == "int8" else None
    batches = DATA[None, :, :] if strategy == "token" else DATA[:, None, None, :]
    theirs_small = False
    for x in batches if strategy == "tensor" else [batches]:
        t = torch.from_numpy(np.ascontiguousarray(x))
        scale, zero = helpers.compute_dynamic_scales_and_zp(t, args, torch.nn.Linear(1, 1))
        want = forward.fake_quantize(t, scale, zero, args).numpy()
        got = fake_quantize(x, format=format, granularity=granularity, contract=contract)
        if kind == "int":
            scales = np.broadcast_to(scale.numpy().reshape(-1, 1), x.reshape(-1, 64).shape)
            small = scales.reshape(x.shape) < SUBNORMAL_SCALES
            assert not got[small].any(), "the named entry: zeros"
            theirs_small = theirs_small or bool(want[small].any())
            got, want = got[~small], want[~small]
        same(got, want, f"{format} {strategy}")
    assert theirs_small == (kind == "int"), "the named entry is still needed"


@pytest.mark.parametrize("threshold", [0.0, 3.0, 6.0])
def test_bitsandbytes_decomposition(threshold: float) -> None:
    """Their float16 input is exact in float32; codes times absmax / 127 are compared as codes."""
    bnb = pytest.importorskip("bitsandbytes", reason="the outsider itself; see `make outsiders`")
    rng = np.random.default_rng(1)
    x = rng.standard_normal((33, 96)).astype(np.float16)
    x[:, 7] *= np.float16(30)
    x[3, 50] = 6.0
    codes, absmax, columns = bnb.functional.int8_vectorwise_quant(
        torch.from_numpy(x), threshold=threshold
    )
    got = fake_quantize(
        x.astype(F), format="int8", granularity="token", contract=preset("bitsandbytes"),
        threshold=threshold or None,
    )  # fmt: skip
    passed = [] if columns is None else sorted(columns.numpy().tolist())
    same(got[:, passed], x.astype(F)[:, passed], "outlier columns")
    assert bool(passed) == (threshold > 0), f"columns {passed}"
    kept = np.setdiff1d(np.arange(96), passed)
    scale = absmax.numpy().astype(F)[:, None] / F(127)
    ours = np.rint(got / scale)[:, kept].astype(np.int8)
    same(ours, codes.numpy()[:, kept], "codes")


def test_scaled_mm_is_float32_arithmetic_on_our_reals() -> None:
    """FP8 per token times FP8 per channel, by `torch._scaled_mm`: codes first, scales at the end.

    Ours scales first: (c_x s_x) (c_w s_w) summed in float32. Both are within (K + 3) u of the exact
    sum of magnitudes, u = 2^-24 (Higham, "Accuracy and Stability", eq. (3.5), and a rounding more
    for each scale), so within twice that of each other.
    """
    rng = np.random.default_rng(2)
    k = 64
    x = (rng.standard_normal((16, k)) * np.exp2(rng.integers(-3, 4, (16, 1)))).astype(F)
    w = rng.standard_normal((32, k)).astype(F)
    kind = torch.float8_e4m3fn
    parts = []
    for a in (x, w):
        s = np.abs(a).max(axis=1, keepdims=True) / F(448)
        codes = torch.from_numpy(np.clip(a / s, -448, 448)).to(kind)
        real = fake_quantize(a, format="fp8_e4m3", granularity="token")
        same(codes.to(torch.float32).numpy() * s, real, "the cast")
        parts.append((codes, torch.from_numpy(s), real))
    (xc, xs, xr), (wc, ws, wr) = parts
    y = torch._scaled_mm(xc, wc.t(), scale_a=xs, scale_b=ws.t(), out_dtype=torch.float32).numpy()
    bound = 2 * (k + 3) * 2.0**-24 * (np.abs(xr.astype(float)) @ np.abs(wr.astype(float)).T)
    exact = xr.astype(np.float64) @ wr.astype(np.float64).T
    assert (np.abs(y - exact) <= bound).all(), f"{np.abs(y - exact).max()}, {bound.max()}"
