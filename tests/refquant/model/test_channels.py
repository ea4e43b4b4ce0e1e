"""Where output channels are: against a product of each operator by hand."""

from typing import Any

import numpy as np
import pytest

from refquant.model.channels import along_channels, channel_axis, channel_count, groups_of
from refquant.model.graph import Node
from refquant.ops.conv import conv_f32
from refquant.ops.conv_transpose import conv_transpose
from refquant.ops.matmul import gemm_f32, matmul_f32

CASES = {  # op, attributes, shape of w, shape of x
    "Conv": ("Conv", {"group": 2}, (6, 2, 3), (1, 4, 5)),
    "Gemm": ("Gemm", {}, (4, 3), (2, 4)),
    "Gemm, turned": ("Gemm", {"transB": 1}, (3, 4), (2, 4)),
    "MatMul": ("MatMul", {}, (4, 3), (2, 4)),
    "ConvTranspose": ("ConvTranspose", {}, (4, 3, 2), (1, 4, 5)),
    "ConvTranspose, groups": ("ConvTranspose", {"group": 2}, (4, 3, 2, 1), (1, 4, 5, 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_weights_times_numbers_are_results_times_numbers(name: str) -> None:
    op, attributes, shape, x_shape = CASES[name]
    node = Node("y", op, ("x", "w"), ("y",), attributes)
    rng = np.random.default_rng(0)
    w, x = (rng.integers(-9, 10, s).astype(np.float32) for s in (shape, x_shape))
    count = channel_count(node, shape)
    numbers = np.ldexp(1.0, np.arange(count))
    scaled = (w * along_channels(node, shape, numbers)).astype(np.float32)
    function: Any = {"Conv": conv_f32, "ConvTranspose": conv_transpose, "MatMul": matmul_f32,
                "Gemm": gemm_f32}[op]  # fmt: skip
    given: dict[str, Any] = {k if k == "group" else "trans_b": v for k, v in attributes.items()}
    y, got = function(x, w, **given), function(x, scaled, **given)
    axis = 1 if op.startswith("Conv") else -1
    along = np.moveaxis(np.moveaxis(y, axis, -1) * numbers, -1, axis)
    assert y.shape[axis] == count, "as many channels"
    assert np.array_equal(got, along), "powers of two are exact"
    assert groups_of(node) == attributes.get("group", 1), "its groups"
    grouped = attributes.get("group", 1) if op == "ConvTranspose" else 1
    assert shape[channel_axis(node, len(shape))] * grouped == count, "their axis"
