"""Windows as fields of a row: 1-D is 2-D of height one, 1x1 is a plain matrix."""

from typing import Any

import pytest

from refquant_runtime.graph import Node, Value
from refquant_runtime.lower.windows import (
    conv_window,
    dense_window,
    is_depthwise,
    rows_of,
)


def value(*shape: int) -> Value:
    return Value("v", "float32", shape, False, None, None)


def conv(**attributes: Any) -> Node:
    return Node("conv", "Conv", (), (), attributes, None)


def test_a_one_dimensional_window_has_height_one() -> None:
    fields, positions, rows = conv_window(
        conv(strides=[2], pads=[1, 0], dilations=[3]), value(1, 4, 20), value(8, 4, 3), 0
    )
    assert (positions, rows) == (3, (20 + 1 - 7) // 2 + 1), f"{positions} taps, {rows} rows"
    expected = {"in_h": 1, "in_w": 20, "out_h": 1, "kernel_w": 3, "stride_w": 2, "pad_h": 0,
                "pad_w": 1, "dilation_w": 3, "row_size": 4, "image_size": 80}  # fmt: skip
    assert {key: fields[key] for key in expected} == expected, f"{fields}"


@pytest.mark.parametrize(
    ("attributes", "plain"),
    [({}, True), ({"strides": [2, 2]}, False), ({"pads": [0, 1, 0, 0]}, False)],
)
def test_only_a_bare_one_by_one_is_a_plain_matrix(attributes: Any, plain: bool) -> None:
    fields, positions, _ = conv_window(conv(**attributes), value(1, 4, 6, 6), value(8, 4, 1, 1), 2)
    assert positions == 1, "one position"
    assert (fields["kernel_w"] == 0) is plain, f"{attributes}: kernel_w {fields['kernel_w']}"


def test_a_product_has_the_rows_of_all_leading_axes() -> None:
    fields, positions, rows = dense_window(value(2, 3, 5), 2)
    assert (positions, rows, fields["row_size"]) == (1, 6, 5), f"{fields}"
    gemm = Node("gemm", "Gemm", (), (), {}, None)
    assert rows_of(gemm, value(7, 5), value(5, 2), 0)[2] == 7, "Gemm is a plain matrix"


@pytest.mark.parametrize(
    ("group", "channels", "outputs", "depthwise"),
    [(4, 4, 4, True), (1, 1, 1, False), (4, 4, 8, False), (2, 4, 4, False)],
)
def test_depthwise_is_one_window_and_one_output_a_channel(
    group: int, channels: int, outputs: int, depthwise: bool
) -> None:
    node = conv(group=group)
    w = value(outputs, channels // group, 3, 3)
    assert is_depthwise(node, value(1, channels, 5, 5), w) is depthwise, f"group {group}"
