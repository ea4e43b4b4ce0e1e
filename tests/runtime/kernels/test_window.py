"""Offset tables: every tap of every pixel, padding, tails, and moving on by one stride."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from refquant_runtime.kernels.pointers import pointer
from refquant_runtime.kernels.window import WINDOW, advance, fill_offsets

PAD = 4096


@njit
def fill(row: Any, first: int, offsets: Any) -> None:
    fill_offsets(pointer(row), PAD, first, pointer(offsets))


@njit
def step(row: Any, pixel: int, anew: bool, offsets: Any) -> None:
    advance(pointer(row), PAD, pixel, anew, pointer(offsets))


@st.composite
def windows(draw: st.DrawFn) -> dict[str, int]:
    kernel, stride, dilation = (draw(st.integers(1, 3)) for _ in range(3))
    pad = draw(st.integers(0, 2))
    reach = dilation * (kernel - 1) + 1
    size = draw(st.integers(max(1, reach - 2 * pad), 9))
    out = (size + 2 * pad - reach) // stride + 1
    channels = draw(st.integers(1, 5))
    return {
        "x": 64, "rows": 2 * out * out, "mr": draw(st.sampled_from([1, 4, 6])),
        "taps": kernel * kernel, "out_h": out, "out_w": out, "in_h": size, "in_w": size,
        "row_size": channels, "image_size": size * size * channels, "kernel_w": kernel,
        "stride_h": stride, "stride_w": stride, "pad_h": pad, "pad_w": pad,
        "dilation_h": dilation, "dilation_w": dilation, "element": 0, "copies": 1,
    }  # fmt: skip


def expected(w: dict[str, int], pixel: int) -> list[int]:
    """The definition, one tap after the other."""
    image, rest = divmod(pixel, w["out_h"] * w["out_w"])
    oy, ox = divmod(rest, w["out_w"])
    offsets = []
    for tap in range(w["taps"]):
        ky, kx = divmod(tap, w["kernel_w"])
        iy = oy * w["stride_h"] - w["pad_h"] + ky * w["dilation_h"]
        ix = ox * w["stride_w"] - w["pad_w"] + kx * w["dilation_w"]
        inside = 0 <= iy < w["in_h"] and 0 <= ix < w["in_w"]
        at = w["x"] + image * w["image_size"] + (iy * w["in_w"] + ix) * w["row_size"]
        offsets.append(at if inside else PAD)
    return offsets


@given(w=windows(), data=st.data())
def test_a_tiles_table(w: dict[str, int], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, w["rows"] - 1))
    offsets = np.full(w["taps"] * w["mr"], -1, np.int32)
    fill(np.array([w[name] for name in WINDOW], np.int64), first, offsets)
    for r in range(w["mr"]):
        pixel = min(first + r, w["rows"] - 1)
        actual = offsets[r :: w["mr"]].tolist()
        assert actual == expected(w, pixel), f"row {r} of the tile at {first}: {w}"


@given(w=windows())
def test_moving_on_gives_the_same_table_as_filling(w: dict[str, int]) -> None:
    w |= {"mr": 1}
    row = np.array([w[name] for name in WINDOW], np.int64)
    offsets = np.full(w["taps"], -1, np.int32)
    for pixel in range(w["rows"]):
        step(row, pixel, pixel == 0, offsets)
        assert offsets.tolist() == expected(w, pixel), f"pixel {pixel}: {w}"


def test_copies_repeat_the_positions_and_elements_count_words() -> None:
    w = dict.fromkeys(WINDOW, 0) | {
        "x": 64, "rows": 3, "mr": 2, "taps": 3, "row_size": 5, "element": 2, "copies": 3,
    }  # fmt: skip
    offsets = np.full(6, -1, np.int32)
    fill(np.array([w[name] for name in WINDOW], np.int64), 1, offsets)
    assert offsets.tolist() == [16 + 5, 16 + 10] * 3, "a plain matrix, three copies, words"
