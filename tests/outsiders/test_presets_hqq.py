"""The preset ``hqq`` beside hqq 0.2.8.post1: parameters, codes and reals of whole rows."""

from typing import Any

import pytest

from tests.refquant.contracts.preset_inputs import Array, Float32, differing_rows

torch = pytest.importorskip("torch", reason="hqq needs PyTorch; see `make outsiders`")
core: Any = pytest.importorskip("hqq.core.quantize", reason="the outsider itself")

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("num_bits", [2, 4, 8])
def test_rows(num_bits: int) -> None:
    def theirs(x: Float32) -> tuple[Array, Array]:
        codes, meta = core.Quantizer.quantize(
            torch.from_numpy(x[None]), nbits=num_bits, group_size=None, optimize=False,
            round_zero=False, axis=1, bitpack=False, device="cpu", compute_dtype=torch.float32,
        )  # fmt: skip
        reals = (codes - meta["zero"]) * meta["scale"]
        return codes.numpy()[0], reals.numpy()[0]

    assert differing_rows("hqq", f"uint{num_bits}", False, theirs) == [], "a float zero point"
