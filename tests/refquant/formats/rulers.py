"""What the tests of affine codes share: rulers, contracts and floats around ties."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from refquant.contracts import AXES, Contract, preset
from refquant.formats.affine import QParams, quantize
from refquant_conformance.strategies import scales

ONNX = preset("onnx")
LARGEST = float(np.finfo(np.float32).max)
QUANTIZE_AXES = ("rounding", "scale_op", "zero_point_at", "clamp", "overflow", "nan")
DTYPES = [f"{sign}int{bits}" for sign in ("", "u") for bits in (1, 2, 3, 4, 7, 8, 12, 16)]
NEAREST = ["half_even", "half_away", "half_up", "half_down"]

Float32 = NDArray[np.float32]


def ruler(scale: float, zero_point: int, dtype: str, *, narrow: bool = False) -> QParams:
    return QParams(np.float32(scale), np.int32(zero_point), None, dtype, narrow)


def f32(*values: float) -> Float32:
    with np.errstate(over="ignore", under="ignore"):
        return np.array(values, np.float32)


def codes_of(x: Float32, qparams: QParams, contract: Contract = ONNX) -> list[int]:
    codes: list[int] = quantize(x, qparams, contract=contract).tolist()
    return codes


def around_ties(scale: float, ks: Any) -> Float32:
    """Each (k + 1/2) scale, and two floats on each side of it."""
    tie = f32(*((k + 0.5) * scale for k in ks))
    moved = [tie]
    with np.errstate(over="ignore", under="ignore"):
        for end in (-np.inf, np.inf):
            one = np.nextafter(tie, np.float32(end))
            moved += [one, np.nextafter(one, np.float32(end))]
    return np.concatenate(moved)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    changes: dict[str, Any] = {
        axis: draw(st.sampled_from([v for v in AXES[axis] if v != "before_scaling"]))
        for axis in QUANTIZE_AXES
    }
    if changes["zero_point_at"] == "fused":
        changes["scale_op"] = "reciprocal_f32"
    if changes["nan"] == "int32_min":
        changes["overflow"] = "int32_cast"
    return replace(ONNX, name="drawn", **changes)


@st.composite
def rulers(draw: st.DrawFn, dtypes: Any = tuple(DTYPES)) -> QParams:
    dtype = draw(st.sampled_from(dtypes))
    qmin, qmax = ruler(1.0, 0, dtype).code_range
    zero_point = draw(st.sampled_from([qmin, qmax, 0, 1]) | st.integers(qmin, qmax))
    return ruler(draw(scales()), min(zero_point, qmax), dtype)
