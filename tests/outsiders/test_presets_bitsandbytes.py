"""The preset ``bitsandbytes`` beside LLM.int8's row-wise kernel of bitsandbytes 0.50.2 on a CPU."""

from typing import Any

import pytest

from tests.refquant.contracts.preset_inputs import Array, Float32, differing_rows

torch = pytest.importorskip("torch", reason="bitsandbytes needs PyTorch; see `make outsiders`")
functional: Any = pytest.importorskip("bitsandbytes.functional", reason="the outsider itself")

pytestmark = pytest.mark.torch


def test_rows() -> None:
    def theirs(x: Float32) -> tuple[Array, None]:
        codes, _, _ = functional.int8_vectorwise_quant(torch.from_numpy(x[None].copy()))
        return codes.numpy()[0], None

    assert differing_rows("bitsandbytes", "int8", True, theirs) == [], "x * (127 * (1 / absmax))"
