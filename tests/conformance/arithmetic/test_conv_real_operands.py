"""What the codes of a convolution mean, counted by hand and by the oracle."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.conv_probes import conv_case, scrambled
from refquant_conformance.arithmetic.conv_real_operands import (
    code_of_sum_exactly,
    codes_of_sums,
    group_of,
    operands_exactly,
    real_filters,
    real_windows,
)
from refquant_conformance.protocol import Case


def small(bias: bool = False) -> Case:
    """Two groups of one channel, a kernel of two, a row of padding; scales are powers of two."""
    return conv_case(
        "u8_i8",
        np.array([[[[3, 7]], [[5, 3]]]], np.uint8),
        np.array([[[[1, -1]]], [[[2, 0]]]], np.int8),
        (0.5, 0.25, 0.125),
        (3, 0, 10),
        bias=np.array([8, -8]) if bias else None,
        group=2,
    )


def test_filters_and_windows_are_what_codes_mean() -> None:
    case = small()
    assert group_of(case) == 2, "two groups"
    assert real_filters(case).tolist() == [[[0.25, -0.25]], [[0.5, 0.0]]], "(w - 0) / 4"
    windows = real_windows(case, case.inputs["x"])
    assert windows.tolist() == [[[0.0], [2.0]], [[1.0], [0.0]]], "(x - 3) / 2"
    assert windows.dtype == np.float32, f"{windows.dtype}"


@pytest.mark.parametrize(("bias", "codes"), [(False, [6, 14]), (True, [14, 6])])
def test_codes_of_sums(bias: bool, codes: list[int]) -> None:
    """-0.5 and 0.5 over 0.125, and 10; the bias is worth 8 / 8."""
    case, sums = small(bias), np.array([[-0.5], [0.5]], np.float32)
    assert codes_of_sums(case, sums)["y"].ravel().tolist() == codes, "other codes"
    counted = [code_of_sum_exactly(case, channel, float(sums[channel, 0])) for channel in (0, 1)]
    assert counted == codes, "by the oracle"


def test_padding_means_zero_and_the_oracle_sees_the_same() -> None:
    case = conv_case(
        "u8_i8", scrambled("uint8", (2, 4, 3, 4), 1), scrambled("int8", (4, 2, 2, 2), 2),
        (0.1, 1 / 3, 1.0), (3, 2, 0), group=2,
    )  # fmt: skip
    case = Case(
        case.op, case.scheme, case.inputs, {**case.params, "pads": (1, 1, 0, 0)}, case.types
    )
    filters, windows = real_filters(case), real_windows(case, case.inputs["x"])
    for image, row, column in np.ndindex(2, 3, 4):
        for channel in range(4):
            weights, seen = operands_exactly(case, image, channel, (row, column))
            group, at = channel // 2, (image * 3 + row) * 4 + column
            assert weights == filters[group, channel % 2].tolist(), f"filter {channel}"
            assert seen == windows[group, :, at].tolist(), f"window {image, row, column}"
    assert 0.0 in windows[0, :, 0].tolist(), "the first window begins in the padding"
