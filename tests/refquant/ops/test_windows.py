"""Sliding windows against their definition, position by position."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from refquant.ops.windows import columns, convolve, pad_spatial, plan_window, taps


def plan(
    spatial: Any, kernel: Any, strides: Any = None, pads: Any = None, dilations: Any = None
) -> Any:
    return plan_window(
        "Conv", spatial, kernel=kernel, strides=strides, pads=pads, dilations=dilations
    )


@pytest.mark.parametrize("length", [1, 4, 7])
@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("begin", "end"), [(0, 0), (1, 0), (0, 2), (2, 2)])
def test_the_outputs_are_all_windows_that_fit(
    length: Any, kernel: Any, stride: Any, dilation: Any, begin: Any, end: Any
) -> None:
    starts = [
        start
        for start in range(0, begin + length + end, stride)
        if start + dilation * (kernel - 1) < begin + length + end
    ]
    arguments = ((length,), (kernel,), (stride,), (begin, end), (dilation,))
    if not starts:
        with pytest.raises(ValueError, match="window covers"):
            plan(*arguments)
        return
    assert plan(*arguments).output == (len(starts),), "eq. (1) must count the windows that fit"


def test_taps_come_row_major_and_see_the_padded_input() -> None:
    window = plan((3, 4), (2, 2), (2, 1), (1, 0, 0, 1), (1, 2))
    x = np.arange(12).reshape(1, 1, 3, 4)
    padded = pad_spatial(x, window, -1)
    views = [view[0, 0].tolist() for view in taps(padded, window)]
    expected = [
        [
            [int(padded[0, 0, 2 * oy + ky, ox + 2 * kx]) for ox in range(window.output[1])]
            for oy in range(window.output[0])
        ]
        for ky, kx in itertools.product(range(2), range(2))
    ]
    assert views == expected, "tap (ky, kx) must see padded[o * stride + k * dilation]"


def test_columns_run_over_taps_first_then_channels() -> None:
    x = np.arange(2 * 4 * 3).reshape(2, 4, 3)
    window = plan((3,), (2,))
    result = columns(x, window, group=2)
    assert result.shape == (2, 2 * 2, 2 * 2), "shape must be (group, taps * C/group, N * outputs)"
    for g, tap, c, n, o in itertools.product(range(2), repeat=5):
        got = int(result[g, tap * 2 + c, n * 2 + o])
        assert got == int(x[n, g * 2 + c, o + tap]), f"column {(g, tap, c, n, o)} is misplaced"


def test_chunks_of_images_do_not_change_the_result() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, (150, 8, 16, 16))  # several chunks
    w = rng.integers(-9, 9, (16, 8, 3, 3))
    window = plan((16, 16), (3, 3), pads=(1, 1, 1, 1))
    whole = convolve(x, w, window, group=1, dot=np.matmul)
    single = np.concatenate(
        [convolve(x[i : i + 1], w, window, group=1, dot=np.matmul) for i in range(len(x))]
    )
    assert np.array_equal(whole, single), "an image's result must not depend on its batch"


def test_an_empty_batch_stays_empty() -> None:
    window = plan((3, 3), (2, 2))
    y = convolve(np.zeros((0, 2, 3, 3)), np.zeros((4, 2, 2, 2)), window, group=1, dot=np.matmul)
    assert y.shape == (0, 4, 2, 2), "no images in, no images out"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": (3, 3)}, "kernel_shape must be 1 integers >= 1"),
        ({"kernel": (0,)}, "kernel_shape"),
        ({"kernel": (1,), "strides": (0,)}, "strides must be 1 integers >= 1, got \\[0\\]"),
        ({"kernel": (1,), "dilations": (1, 1)}, "dilations"),
        ({"kernel": (1,), "pads": (1,)}, "pads must be 2 integers >= 0, got \\[1\\]"),
        ({"kernel": (1,), "pads": (-1, 0)}, "pads"),
        ({"kernel": (6,)}, "window covers 6 elements but the padded input has 5"),
    ],
)
def test_a_wrong_attribute_is_named(options: Any, message: Any) -> None:
    with pytest.raises(ValueError, match=f"Conv: .*{message}"):
        plan((5,), **options)


def test_only_one_or_two_spatial_axes() -> None:
    for spatial in ((), (2, 2, 2)):
        with pytest.raises(ValueError, match="1 or 2 spatial axes"):
            plan(spatial, (1,) * len(spatial))
    with pytest.raises(ValueError, match="at least one element"):
        plan((0,), (1,), pads=(1, 1))


def test_memory_is_bounded_by_the_image_not_by_the_batch() -> None:
    sizes = []

    def spy(rows: Any, cols: Any) -> Any:
        sizes.append(math.prod(cols.shape))
        return np.matmul(rows, cols)

    window = plan((28, 28), (3, 3), pads=(1, 1, 1, 1))
    convolve(np.zeros((64, 4, 28, 28)), np.zeros((4, 4, 3, 3)), window, group=1, dot=spy)
    assert max(sizes) <= 1 << 20, f"columns of {max(sizes)} elements at a time are too many"
