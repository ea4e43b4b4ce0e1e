"""int16 sigmoid and tanh: golden codes of LiteRT 2.3.0, and how far they are from the curves.

All 65,536 codes for 30 random scales are compared with LiteRT in
tests/outsiders/test_litert_int16.py.
"""

import numpy as np
import pytest

from refquant.ops.curves_int16 import curve_int16, nearest_power, sigmoid_marks


@pytest.mark.parametrize("op", ["Sigmoid", "Tanh"])
@pytest.mark.parametrize("scale", [2.0**-12, 2.0**-11, 1e-3, 1e-5, 0.07])
def test_the_curves_are_near(op: str, scale: float) -> None:
    x = np.arange(-32768, 32768) * float(np.float32(scale))
    real = (np.tanh(x / 2) + 1) / 2 if op == "Sigmoid" else np.tanh(x)
    codes = curve_int16(op, np.float32(scale)).astype(float)
    # Beyond 255/24 = 10.6 (tanh: half) the curve stands still, at 2^-15 of 1; a chord is 1.4 of
    # 2^16 off at most, shared by both ends; the multiplier has 14 bits.
    error = np.abs(codes / 32768 - real).max()
    assert error < 4 * 2.0**-15, f"{op} of {scale}: {error * 2**15} codes"


def test_the_curves_are_odd_about_their_middle() -> None:
    codes = curve_int16("Tanh", np.float32(1e-4)).astype(int)
    assert codes[32768] == 0, "tanh 0"
    # Ties of v go up, and one step of v, 1/12288, is up to 2.7 codes.
    assert np.abs(codes[1:32768][::-1] + codes[32769:]).max() <= 3, "odd but for ties"


def test_marks() -> None:
    marks = sigmoid_marks()
    assert marks.shape == (256,), "one more than intervals"
    assert (np.diff(marks) >= 0).all(), "ascending"
    assert marks[[1, 2, 24, 100, 254, 255]].tolist() == [33451, 34133, 47911, 64536, 65534, 65535]


def test_powers_are_met_within_a_thousandth() -> None:
    near = [2.0**-12 * 2.0**f for f in (0.0, 0.0009, -0.0009, 0.0011, -0.0011)]
    found = [nearest_power(np.float32(v)) for v in near]
    assert found == [-12, -12, -12, None, None], "log2 within 0.001"


@pytest.mark.parametrize(
    ("op", "scale", "message"), [("Exp", 1.0, "Sigmoid or Tanh"), ("Tanh", 6.0, "below 5.33")]
)
def test_what_is_no_curve(op: str, scale: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        curve_int16(op, np.float32(scale))
