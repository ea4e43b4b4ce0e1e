"""The presets ``torch``, ``fbgemm`` (its quantization) and ``torchao`` beside the packages.

Measured: torch 2.13.0, torchao 0.18.0, x86 with AVX-512. Bit for bit, around every tie.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import QParams, choose_qparams, quantize
from tests.refquant.contracts.preset_inputs import (
    Array,
    Float32,
    differing_codes,
    differing_parameters,
    ranges,
)

torch = pytest.importorskip("torch", reason="the outsider itself; see `make outsiders`")

# "Quantized tensors will be removed": in the version that we pin they are what is asked about.
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:.*quantized tensor creation functions:UserWarning"),
]

Z = {"int8": (0, 1, -7, -128, 127), "uint8": (0, 1, 128, 255)}


@pytest.mark.parametrize("dtype", Z)
def test_quantize_per_tensor(dtype: str) -> None:
    """One fused multiply-add, at every length of a vector: body and tail."""
    code = torch.qint8 if dtype == "int8" else torch.quint8

    def theirs(x: Float32, p: QParams) -> Array:
        held = torch.quantize_per_tensor(
            torch.from_numpy(x), float(p.scale), int(p.zero_point), code
        )
        codes: Array = held.int_repr().numpy()
        return codes

    assert differing_codes("torch", dtype, Z[dtype], theirs) == [], "one rounding, NaN to qmax"
    x = np.array([-128.5, -0.5, 0.5, 1.5], np.float32)
    p = QParams(np.float32(1), np.int32(1), None, "int8")
    alone = [
        int(torch.quantize_per_tensor(torch.from_numpy(x[i : i + 1]), 1.0, 1, torch.qint8)
            .int_repr()[0])
        for i in range(len(x))
    ]  # fmt: skip
    assert quantize(x, p, contract=preset("torch")).tolist() == alone, "a tail is no exception"


PER_CHANNEL_ROUNDS_TWICE = [[-128, 0, 2, 2], "before_rounding, NaN is code 0"]
"""quantize_per_channel is another kernel: f32(x * (1/s)) + z is rounded twice, NaN becomes 0. Who
is right: no text says. Minimal input: NaN, scale 1, zero point 1: per tensor 127, per channel 0."""


def test_per_channel_is_another_arithmetic() -> None:
    x = np.array([[-300, -0.5, 0.5, 1.5, np.nan]], np.float32)
    held = torch.quantize_per_channel(
        torch.from_numpy(x), torch.tensor([1.0]), torch.tensor([1]), 0, torch.qint8
    )
    codes = held.int_repr().numpy()[0].tolist()
    assert codes == [*PER_CHANNEL_ROUNDS_TWICE[0], 0], PER_CHANNEL_ROUNDS_TWICE[1]
    p = QParams(np.float32(1), np.int32(1), None, "int8")
    mine = quantize(x[0], p, contract=preset("torch")).tolist()
    assert mine == [*PER_CHANNEL_ROUNDS_TWICE[0], 127], "the same here but for NaN"


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("dtype", Z)
def test_observers(dtype: str, symmetric: bool) -> None:
    observer_module = pytest.importorskip("torch.ao.quantization.observer", reason="part of torch")
    observer = observer_module.MinMaxObserver(
        dtype=torch.qint8 if dtype == "int8" else torch.quint8,
        qscheme=torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine,
    )

    def theirs(lo: np.float32, hi: np.float32) -> tuple[float, float]:
        scale, zero_point = observer._calculate_qparams(torch.tensor(lo), torch.tensor(hi))
        return scale.item(), zero_point.item()

    assert differing_parameters("torch", dtype, symmetric, theirs) == [], "floor and zero point"


TORCH_KEEPS_THE_SCALE_IN_DOUBLE = {"fbgemm": 127, "torch": 128}
"""torch's copy of FBGEMM's ChooseQuantizationParams returns a double, and divides by it; FBGEMM
rounds the scale to float first. By FBGEMM's source 127. Minimal input: [-1, 1], uint8: 127.5 is a
tie in double, f32(2/255) is above 2/255 and misses it."""


def test_choose_quantization_params() -> None:
    """The rules of FBGEMM for small scales and the nearer end, in torch's copy of them."""

    def theirs(lo: np.float32, hi: np.float32) -> tuple[float, float]:
        scale, zero_point = torch._choose_qparams_per_tensor(torch.tensor([lo, hi]), False)
        return float(np.float32(scale)), zero_point

    found = []
    for lo, hi in ranges():
        copy = replace(preset("fbgemm"), zero_point_dtype="parameter_dtype")
        mine = choose_qparams(lo, hi, dtype="uint8", symmetric=False, contract=copy)
        if (float(mine.scale), float(mine.zero_point)) != theirs(lo, hi):
            found.append(f"[{lo!r}, {hi!r}]: {mine}, theirs {theirs(lo, hi)}")
    assert found[:5] == [], "scale and zero point"
    one = np.float32(1)
    p = choose_qparams(-one, one, dtype="uint8", symmetric=False, contract=preset("fbgemm"))
    both = {"fbgemm": int(p.zero_point), "torch": int(theirs(-one, one)[1])}
    assert both == TORCH_KEEPS_THE_SCALE_IN_DOUBLE, "if this changes, the entry goes"


@pytest.mark.parametrize("dtype", Z)
def test_torchao_codes(dtype: str) -> None:
    ao: Any = pytest.importorskip("torchao.quantization.quant_primitives", reason="the outsider")

    def theirs(x: Float32, p: QParams) -> Array:
        codes: Array = ao.quantize_affine(
            torch.from_numpy(x), (len(x),), torch.tensor([p.scale]),
            torch.tensor([p.zero_point], dtype=torch.int32), getattr(torch, dtype),
        ).numpy()  # fmt: skip
        return codes

    assert differing_codes("torchao", dtype, Z[dtype], theirs) == [], "the reciprocal, NaN to 0"


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("dtype", Z)
def test_torchao_parameters(dtype: str, symmetric: bool) -> None:
    ao: Any = pytest.importorskip("torchao.quantization.quant_primitives", reason="the outsider")
    kind = ao.MappingType.SYMMETRIC if symmetric else ao.MappingType.ASYMMETRIC

    def theirs(lo: np.float32, hi: np.float32) -> tuple[float, float]:
        scale, zero_point = ao.choose_qparams_affine(
            torch.tensor([lo, hi]), kind, (2,), getattr(torch, dtype)
        )
        return scale.item(), zero_point.item()

    assert differing_parameters("torchao", dtype, symmetric, theirs) == [], "half the range"
