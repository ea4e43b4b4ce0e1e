"""HQQ's optimizer beside hqq on a CPU (measured: 0.2.8.post1, torch 2.13.0).

One class of difference, HQQ-SUM: they add a group in float32 in PyTorch's order, and take powers
by PyTorch's float32 ``pow``; we round a float64 result once. A mean over the tensor that falls by
less than that stops a round sooner or later, and a weight on a tie may take the other code.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant.algorithms.hqq import AUTHORS, quantize_groups
from refquant.formats.float_zero_point import dequantize

torch = pytest.importorskip("torch", reason="HQQ needs PyTorch; see `make outsiders`")
core: Any = pytest.importorskip("hqq.core.quantize", reason="the outsider itself")
optimizers: Any = pytest.importorskip("hqq.core.optimize", reason="the outsider itself")

pytestmark = pytest.mark.torch

THEIRS = {"last": "optimize_weights_proximal_legacy", "best": "optimize_weights_proximal_v2"}


@pytest.mark.parametrize("keep", sorted(THEIRS))
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("num_bits", [2, 3, 4, 8])
def test_codes_and_errors_are_theirs(
    num_bits: int, axis: int, keep: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = (np.random.default_rng(1).standard_t(3, size=(64, 256)) / 20).astype(np.float32)
    monkeypatch.setattr(core.Quantizer, "optimize_weights", getattr(optimizers, THEIRS[keep]))
    codes, meta = core.Quantizer.quantize(
        torch.from_numpy(w), nbits=num_bits, group_size=64, optimize=True, axis=axis,
        bitpack=False, device="cpu",
    )  # fmt: skip
    theirs = ((codes.float() - meta["zero"]) * meta["scale"]).numpy().reshape(w.shape)
    q = quantize_groups(
        w, num_bits=num_bits, group_size=64, axis=axis, settings=replace(AUTHORS, keep=keep)
    )
    assert np.array_equal(q.scale, meta["scale"].numpy()), "the scale does not move"
    same = float((codes.numpy() == q.codes).mean())
    assert same >= 0.999, f"{100 * same} % of the codes are the same; the bar is 99.9 %"
    mine = float(np.abs(dequantize(q).astype(np.float64) - w).mean())
    other = float(np.abs(theirs.astype(np.float64) - w).mean())
    assert mine <= 1.001 * other, f"the error that the rounds look at: {mine}, theirs {other}"
