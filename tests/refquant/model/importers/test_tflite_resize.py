"""RESIZE_BILINEAR of int8: codes of LiteRT 2.3.0; of reals: numpy."""

from typing import Any

import numpy as np
import pytest

from refquant.model.importers.tflite_model import UnsupportedError
from refquant.model.importers.tflite_resize import places_float, places_integer
from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_bytes import Model
from tests.refquant.model.importers.tflite_calls import called, made

Q: dict[str, Any] = {"scale": 0.5, "zero_point": 3}
X = np.array([-128, -3, 7, 90, -41, 127], np.int8).reshape(1, 2, 3, 1)
GOLDEN = {
    ("xnnpack", False): [[-128, -53, -1, 5, 7], [17, -10, -5, 64, 87], [90, 11, -7, 93, 127]],
    ("xnnpack", True): [[-128, -78, -3, 3, 7], [-19, -20, -22, 31, 67], [90, 38, -41, 60, 127]],
    ("tflite_reference", False): [
        [-128, -53, -1, 5, 7], [17, -10, -5, 64, 87], [90, 11, -8, 93, 127],
    ],
    ("tflite_reference", True): [
        [-128, -78, -3, 3, 7], [-19, -20, -22, 31, 67], [90, 38, -41, 60, 127],
    ],
}  # fmt: skip


def image(size: tuple[int, int], out: tuple[int, int], dtype: str, **own: Any) -> Any:
    m, quant = Model(), Q if dtype == "int8" else {}
    x = m.tensor((1, *size, 1), dtype, name="x", **quant)
    y = m.tensor((1, *out, 1), dtype, **quant)
    m.op("RESIZE_BILINEAR", [x, m.tensor((2,), "int32", values=out)], [y], **own)
    return m, x, y


@pytest.mark.parametrize(("tool", "half"), GOLDEN)
def test_pixels_between_are_litert_s(tool: str, half: bool) -> None:
    m, x, y = image((2, 3), (3, 5), "int8", HalfPixelCenters=half)
    assert made(m, [x], y, tool, X)[0, ..., 0].tolist() == GOLDEN[tool, half], "one code differs"


@pytest.mark.parametrize("tool", ["xnnpack", "tflite_reference"])
def test_corners_stay_where_they_are(tool: str) -> None:
    m, x, y = image((2, 3), (5, 9), "int8", AlignCorners=True)
    got = made(m, [x], y, tool, X)[0, ..., 0]
    assert np.array_equal(got[::4, ::4], X[0, ..., 0]), "every fourth pixel is one of the input"
    m, x, y = image((2, 3), (2, 3), "int8")
    assert np.array_equal(made(m, [x], y, tool, X), X), "the same size, the same codes"


@pytest.mark.parametrize(("tool", "middle"), [("xnnpack", -1), ("tflite_reference", -2)])
def test_a_tie_below_zero_is_what_tells_the_tools_apart(tool: str, middle: int) -> None:
    m, x, y = image((1, 2), (1, 3), "int8", AlignCorners=True)
    pixels = np.array([-2, -1], np.int8).reshape(1, 1, 2, 1)
    assert made(m, [x], y, tool, pixels).ravel().tolist() == [-2, middle, -1], "-1.5"


@pytest.mark.parametrize("align", [False, True])
def test_of_reals(align: bool) -> None:
    real = X.astype(np.float32)
    m, x, y = image((2, 3), (3, 5), "float32", AlignCorners=align)
    got = made(m, [x], y, "xnnpack", real)[0, ..., 0]
    rows = np.arange(3) * (0.5 if align else 2 / 3)
    columns = np.arange(5) * (0.5 if align else 0.6)
    exact = np.array([np.interp(columns, range(3), line) for line in real[0, ..., 0]])
    exact = np.array([np.interp(rows, range(2), line) for line in exact.T]).T
    # Four products and sums, places in float32: 16 roundings of at most 2^-24 of 128.
    assert np.abs(got - exact).max() <= 16 * 2.0**-24 * 128, "between the pixels"


def test_places_are_in_the_image() -> None:
    for old, new in ((1, 1), (1, 9), (9, 1), (7, 3), (3, 7), (64, 100)):
        for align, half in ((False, False), (True, False), (False, True)):
            for where, bits in ((places_float, 11), (places_integer, 10)):
                made_places = where(old, new, align=align, half=half)
                at = (old, new, align, half, where.__name__)
                assert 0 <= made_places[:, :2].min() <= made_places[:, :2].max() < old, at
                assert 0 <= made_places[:, 2].min() <= made_places[:, 2].max() <= 1 << bits, at


def test_what_litert_reads_behind_the_image_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="makes 5000 pixels of 101, of which LiteRT reads"):
        places_integer(101, 5000, align=False, half=False)
    m, x, y = image((2, 3), (3, 5), "int8", AlignCorners=True, HalfPixelCenters=True)
    with pytest.raises(ModelFileError, match="both align_corners and half_pixel_centers"):
        called(m, [x], [y], "xnnpack")
    m, x, y = image((2, 3), (0, 5), "int8")
    with pytest.raises(ModelFileError, match="resizes"):
        called(m, [x], [y], "xnnpack")
