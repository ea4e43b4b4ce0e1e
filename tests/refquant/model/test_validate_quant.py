"""The rules of QUANT, each broken once."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.graph import Graph, Node, Quant, Value
from refquant.model.validate_quant import check_quant, may_be_negative

GRID = np.full((2, 3), 0.5, np.float32)


def graph(quant: Any, *, dtype: str = "int8", **more: np.ndarray) -> Graph:
    """Return a graph of one constant (3, 5) and the constants ``more``."""
    constants: dict[str, np.ndarray] = {"w": np.zeros((3, 5), np.int8), "s": GRID}
    constants |= {"z": np.zeros((2, 3), np.int32), **more}
    values = {n: Value(a.dtype.name, a.shape) for n, a in constants.items()}
    values["w"] = Value(dtype, (3, 5), quant)
    return Graph("g", (), (), values, (), constants, {}, {})


@pytest.mark.parametrize(
    "quant",
    [
        None,
        Quant(0.5, 0),
        Quant(2.0**-126, -128),
        Quant(float(np.float32(0.1)), 127),
        Quant("s", 0, (2, 2)),
        Quant("s", "z", (2, 2)),
        Quant(0.5, "z", (2, 2)),
        Quant("t", 0, (9, 5)),
    ],
)
def test_good_parameters_pass(quant: Quant | None) -> None:
    check_quant(graph(quant, t=np.ones((1, 1), np.float32)), "w", negative=())


@pytest.mark.parametrize(
    ("quant", "message"),
    [
        (Quant(0.0, 0), "finite, normal and not 0"),
        (Quant(2.0**-127, 0), "finite, normal and not 0"),
        (Quant(-0.5, 0), "scale is > 0 unless"),
        (Quant(float("nan"), 0), "exactly a float32, got nan"),
        (Quant(float("inf"), 0), "exactly a float32, got inf"),
        (Quant(0.1, 0), "exactly a float32, got 0.1"),
        (Quant(1e300, 0), "exactly a float32, got 1e"),
        (Quant(1, 0), "exactly a float32, got 1"),
        (Quant(0.5, 128), r"zero_point must be in \[-128, 127\]"),
        (Quant(0.5, 2**40), "zero_point is an int32"),
        (Quant(0.5, 0.0), "zero_point is an int32"),  # type: ignore[arg-type]
        (Quant(0.5, True), "zero_point is an int32"),
        (Quant(0.5, 0, (3, 5)), "block_shape stands with tensors and only then"),
        (Quant("s", 0), "block_shape stands with tensors and only then"),
        (Quant("s", 0, (2,)), "2 integers >= 1"),
        (Quant("s", 0, (2, 0)), "2 integers >= 1"),
        (Quant("s", 0, (2, 2.0)), "2 integers >= 1"),  # type: ignore[arg-type]
        (Quant("s", 0, (3, 2)), r"= \[1, 3\], got float32 \[2, 3\]"),
        (Quant("z", 0, (2, 2)), "'z', a constant of float32 .* got int32"),
        (Quant(0.5, "u", (2, 2)), "'u', a constant of int32 or float32 .* got uint8"),
        (Quant("none", 0, (2, 2)), "'none', .* got none"),
        (Quant("bad", 0, (2, 2)), "finite, normal and not 0"),
        (Quant("s", "far", (2, 2)), r"zero_point must be in \[-128, 127\]"),
    ],
)
def test_a_broken_rule_is_named(quant: Quant, message: str) -> None:
    bad, far = GRID.copy(), np.zeros((2, 3), np.int32)
    bad[1, 2], far[1, 2] = np.inf, -129
    u = np.zeros((2, 3), np.uint8)
    with pytest.raises(ValueError, match=f"value 'w': quant.*{message}"):
        check_quant(graph(quant, bad=bad, far=far, u=u), "w", negative=())


def test_int32_has_zero_point_0() -> None:
    with pytest.raises(ValueError, match="zero_point must be in"):
        check_quant(graph(Quant(0.5, 1), dtype="int32"), "w", negative=())


def test_reals_have_no_codes() -> None:
    with pytest.raises(ValueError, match="quant is for integer dtypes, 'w' is float32"):
        check_quant(graph(Quant(0.5, 0), dtype="float32"), "w", negative=())


def test_a_negative_scale_needs_a_contract_that_has_it() -> None:
    negative = replace(preset("onnx"), name="negative", negative_scale=True)
    contracts = {"onnx": preset("onnx"), "negative": negative}
    for names, allowed in (((), False), (("negative",), True), (("negative", "onnx"), False)):
        nodes = tuple(Node(n, "DequantizeLinear", ("w",), (n,), {}, n) for n in names)
        described = replace(graph(Quant(-0.5, 0)), contracts=contracts, nodes=nodes)
        if allowed:
            check_quant(described, "w", negative=may_be_negative(described))
        else:
            with pytest.raises(ValueError, match="scale is > 0 unless"):
                check_quant(described, "w", negative=may_be_negative(described))
