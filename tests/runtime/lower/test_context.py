"""Layouts: a value is converted once, when somebody needs it; trivial conversions cost nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.rq import write_rq
from refquant_runtime import Session
from refquant_runtime.graph import DTYPE_RANGE, Node, Quant, Value
from refquant_runtime.lower.context import (
    bounds,
    clamp_of,
    f32_bits,
    nan_code,
    permuted,
    quant_of,
    strides_of,
)


def kernels(folder: Path, build: Any) -> list[str]:
    """The kernels of the plan of a small graph."""
    b = Builder("layout")
    path = folder / "m.rq"
    write_rq(path, b.graph(build(b)))
    return [step.kernel.__name__ for step in Session(path, threads=1).plan.steps]


def pool(b: Builder, x: str, name: str) -> str:
    return b.node("MaxPool", [x], name=name, attributes={"kernel_shape": [2, 2]})


def test_a_value_is_converted_once_for_two_readers(tmp_path: Path) -> None:
    def build(b: Builder) -> list[str]:
        x = b.input("x", ("N", 3, 4, 5))
        return [b.node("Flatten", [pool(b, x, "a")], name="f"), b.node("Neg", [x], name="n"),
                b.node("Flatten", [pool(b, x, "c")], name="g")]  # fmt: skip

    found = kernels(tmp_path, build)
    assert found.count("move") == 3, f"x to channels last once, two results back: {found}"


@pytest.mark.parametrize("shape", [(1, 4, 5), (3, 1, 1)])
def test_one_channel_or_one_pixel_needs_no_move(shape: tuple[int, ...], tmp_path: Path) -> None:
    def build(b: Builder) -> list[str]:
        x = b.input("x", ("N", *shape))
        return [b.node("Flatten", [b.node("GlobalMaxPool", [x], name="p")], name="f")]

    assert kernels(tmp_path, build) == ["max_pool_f32"], "both layouts are one"


def test_memory_order_of_shapes() -> None:
    assert permuted((2, 3, 4, 5), "last") == (2, 4, 5, 3), "channels last"
    assert permuted((2, 3, 4, 5), "first") == (2, 3, 4, 5), "as in the file"
    assert permuted((2, 3), "last") == (2, 3), "a matrix has one order"
    assert strides_of((2, 3, 4)) == (12, 4, 1), "contiguous"


def test_small_numbers() -> None:
    y = Value("y", "int8", (1,), False, Quant(np.array(1), np.array(0), None), None)
    node = Node("n", "Conv", (), (), {"clamp_min": -5, "fused_min": 0.0}, None)
    assert clamp_of(node, y) == (-5, 127), "clamps narrow the dtype's range"
    assert clamp_of(Node("n", "Conv", (), (), {}, None), y) == DTYPE_RANGE["int8"], "no clamp"
    assert (nan_code("qmax", 0, 9), nan_code("qmin", 0, 9)) == (9, 0), "NaN by the contract"
    assert f32_bits(-0.0) == -(2**31), "the sign bit alone"
    assert bounds(node) == {"low": 0, "high": f32_bits(np.inf)}, "a fused Relu"
    assert quant_of(y) is y.quant, "the parameters themselves"
