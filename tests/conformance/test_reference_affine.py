"""The exact oracle judges ``refquant.formats.affine``: every code, by every contract."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from refquant.contracts import AXES, PRESETS, Contract
from refquant.formats.affine import QParams, dequantize, quantize
from refquant_conformance import oracle, strategies

RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int4": (-8, 7), "int16": (-32768, 32767)}
QUANTIZE_AXES = ("rounding", "scale_op", "zero_point_at", "clamp", "overflow")


def judge(x: NDArray[np.float32], qparams: QParams, contract: Contract) -> None:
    """Every code of ``x`` is the oracle's."""
    got = quantize(x, qparams, contract=contract).tolist()
    qmin, qmax = RANGES[qparams.dtype]
    scale, zero_point = float(qparams.scale), int(qparams.zero_point)
    for real, code in zip(x.tolist(), got, strict=True):
        expected = oracle.quantize_exact(
            real,
            scale=scale,
            zero_point=zero_point,
            qmin=qmin,
            qmax=qmax,
            axes=contract.to_json(),
        )
        assert code == expected, f"{contract.name}: {real!r} / {scale!r} + {zero_point} = {code}"


@st.composite
def quantizers(draw: st.DrawFn) -> tuple[QParams, NDArray[np.float32]]:
    """Parameters of any dtype, and inputs that lean on their ties and edges."""
    dtype = draw(st.sampled_from(sorted(RANGES)))
    qmin, qmax = RANGES[dtype]
    scale = draw(strategies.scales())
    zero_point = draw(st.sampled_from([qmin, qmax, 0, 1, 3]) | st.integers(qmin, qmax))
    zero_point = min(max(zero_point, qmin), qmax)
    x = draw(strategies.quantizer_inputs(scale=scale, zero_point=zero_point, qmin=qmin, qmax=qmax))
    return QParams(np.float32(scale), np.int32(zero_point), None, dtype), x


@pytest.mark.parametrize("name", PRESETS)
@given(case=quantizers())
def test_every_preset_computes_the_oracles_codes(
    name: str, case: tuple[QParams, NDArray[np.float32]]
) -> None:
    qparams, x = case
    if PRESETS[name].zero_point == "none":
        qparams = replace(qparams, zero_point=np.int32(0))
    if PRESETS[name].nan == "error":
        x = x[~np.isnan(x)]
    judge(x, qparams, PRESETS[name])


@given(case=quantizers(), data=st.data())
def test_every_combination_of_axes_computes_the_oracles_codes(
    case: tuple[QParams, NDArray[np.float32]], data: st.DataObject
) -> None:
    qparams, x = case
    axes = {
        axis: data.draw(st.sampled_from(AXES[axis]), label=axis)
        for axis in QUANTIZE_AXES
        if axis != "zero_point_at"
    }
    places = ("after_rounding", "before_rounding")  # the third is for offsets
    axes["zero_point_at"] = data.draw(st.sampled_from(places), label="zero_point_at")
    nans = ["qmin", "qmax", "zero_point"] + ["int32_min"] * (axes["overflow"] == "int32_cast")
    axes["nan"] = data.draw(st.sampled_from(nans), label="nan")
    judge(x, qparams, replace(PRESETS["onnx"], name="any", **axes))  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int4"])
@given(scale=strategies.scales(), data=st.data())
def test_every_code_means_the_correctly_rounded_real(
    dtype: str, scale: float, data: st.DataObject
) -> None:
    qmin, qmax = RANGES[dtype]
    zero_point = data.draw(st.integers(qmin, qmax))
    codes = np.arange(qmin, qmax + 1, dtype=np.int16)
    got = dequantize(codes, QParams(np.float32(scale), np.int32(zero_point), None, dtype)).tolist()
    expected = [
        oracle.dequantize_exact(q, scale=scale, zero_point=zero_point) for q in codes.tolist()
    ]
    assert got == expected, f"scale {scale!r}, zero point {zero_point}"


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_tie_of_int8_and_its_neighbours(name: str) -> None:
    """All ties of 200 scales, and the floats beside them."""
    rng = np.random.default_rng(1)
    scales = np.exp2(rng.uniform(-12, 4, 200)).astype(np.float32)
    for scale in scales:
        ties = ((np.arange(-131, 131) + 0.5) * scale).astype(np.float32)
        infinity = np.float32(np.inf)
        x = np.concatenate([ties, np.nextafter(ties, -infinity), np.nextafter(ties, infinity)])
        zero_point = 0 if PRESETS[name].zero_point == "none" else 3
        judge(x, QParams(scale, np.int32(zero_point), None, "int8"), PRESETS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_every_half_precision_input(name: str, half: str) -> None:
    """All 65,536 float16, and all bfloat16, each exactly a float32."""
    patterns = np.arange(2**16, dtype=np.uint32)
    if half == "float16":
        x = patterns.astype(np.uint16).view(np.float16).astype(np.float32)
    else:
        x = (patterns << np.uint32(16)).view(np.float32)
    contract = PRESETS[name]
    x = x[~np.isnan(x)] if contract.nan == "error" else x
    zero_point = 0 if contract.zero_point == "none" else 3
    judge(x, QParams(np.float32(0.1), np.int32(zero_point), None, "int8"), contract)
