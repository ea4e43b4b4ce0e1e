"""QONNX 1.0.0 as a backend: ROUND is its preset, and two other modes are none of the judge's.

HALF_UP and HALF_DOWN form |v| + 0.5 and |v| - 0.5 in float32: 0.49999997 + 0.5 is 1.0 there, so the
code of 0.49999997 is 1. UP rounds away from zero.
"""

from typing import Any

import numpy as np
import pytest

from refquant_conformance.adapters import BackendError, load_backend
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.protocol import Rejected, Unsupported
from tests.outsiders.libraries import repeated, wrong

pytest.importorskip("qonnx", reason="the outsider itself; see `make outsiders`")
pytestmark = pytest.mark.torch

BACKEND: Any = load_backend("qonnx")


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("", "qonnx"),
        ("floor", "spec with rounding=floor, zero_point_at=before_rounding"),
        ("ceil", "spec with rounding=ceil, zero_point_at=before_rounding"),
        ("down", "spec with rounding=toward_zero, zero_point_at=before_rounding"),
        ("up", "unidentified"),
        ("half_up", "unidentified"),
    ],
)
def test_rounding_modes(mode: str, name: str) -> None:
    backend = load_backend(f"qonnx:{mode}" if mode else "qonnx")
    assert wrong(backend, [("quantize_linear", "f32_i8", name)]) == [], mode


def test_every_width_is_the_preset() -> None:
    cells = list(BACKEND.capabilities())
    assert len(cells) == 16, f"{cells}"
    schemes = ("f32_u8_channel", "f32_i4", "f32_u2", "f32_i16")
    assert wrong(BACKEND, [("quantize_linear", s, "qonnx") for s in schemes]) == [], "ROUND"


def test_half_is_added_in_floating_point() -> None:
    below = np.nextafter(np.float32(0.5), np.float32(0))
    case = case_of("f32_i8", np.array([below, 2.5, -2.5], np.float32), 1.0, 0)
    got = load_backend("qonnx:half_up").run(case).outputs["y"].tolist()
    assert got == [1, 3, -3], "half away from zero, but for what 0.5 makes of its neighbour"


def test_refusals() -> None:
    with pytest.raises(Rejected, match="NaN"):
        BACKEND.run(case_of("f32_i8", np.array([np.nan], np.float32), 1.0, 0))
    with pytest.raises(Unsupported, match="no blocks"):
        BACKEND.run(sample("quantize_linear", "f32_u8_block"))
    with pytest.raises(BackendError, match="'half_up'"):
        load_backend("qonnx:stochastic")
    assert repeated(BACKEND, sample("quantize_linear", "f32_i8_channel")), "another answer"
