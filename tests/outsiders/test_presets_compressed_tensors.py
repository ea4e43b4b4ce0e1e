"""The preset ``compressed_tensors`` beside compressed-tensors 0.20.0: codes and parameters."""

from typing import Any

import numpy as np
import pytest

from refquant.formats.affine import QParams
from tests.refquant.contracts.preset_inputs import (
    Array,
    Float32,
    differing_codes,
    differing_parameters,
)

torch = pytest.importorskip("torch", reason="compressed-tensors needs PyTorch")
quantization: Any = pytest.importorskip(
    "compressed_tensors.quantization", reason="the outsider itself; see `make outsiders`"
)
forward: Any = pytest.importorskip("compressed_tensors.quantization.lifecycle.forward", reason="it")
utils: Any = pytest.importorskip("compressed_tensors.quantization.utils", reason="part of it")

pytestmark = pytest.mark.torch

Z = {"int8": (0, 1, -7, -128, 127), "int4": (0, 1, -8, 7)}


def arguments(dtype: str, *, symmetric: bool) -> Any:
    return quantization.QuantizationArgs(
        num_bits=int(dtype[3:]), type="int", symmetric=symmetric, strategy="tensor"
    )


@pytest.mark.parametrize("dtype", Z)
def test_codes(dtype: str) -> None:
    def theirs(x: Float32, p: QParams) -> Array:
        codes: Array = forward.quantize(
            torch.from_numpy(x), torch.tensor([p.scale]),
            torch.tensor([p.zero_point], dtype=torch.int8), arguments(dtype, symmetric=False),
            dtype=torch.int8,
        ).numpy()  # fmt: skip
        return codes

    assert differing_codes("compressed_tensors", dtype, Z[dtype], theirs) == [], "clamp, then round"


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("dtype", Z)
def test_parameters(dtype: str, symmetric: bool) -> None:
    def theirs(lo: np.float32, hi: np.float32) -> tuple[float, float]:
        scale, zero_point = utils.calculate_qparams(
            torch.tensor(lo), torch.tensor(hi), arguments(dtype, symmetric=symmetric)
        )
        return scale.item(), zero_point.item()

    assert differing_parameters("compressed_tensors", dtype, symmetric, theirs) == [], "7.5, 127.5"
