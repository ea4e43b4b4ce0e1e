"""The QDQ form: which codes onnxruntime 1.32 makes of it, and a named entry for each that differs.

Fused (``ORT_ENABLE_ALL``) it has integer kernels, unfused (``ORT_DISABLE_ALL``) float operators
between pairs. `docs/how-to/export-to-onnx.md` has the table.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from refquant.contracts import Contract
from refquant.model.execute import run
from refquant.model.exporters.onnx_export import draft_onnx, onnx_bytes
from refquant.model.graph import Graph, Quant
from tests.refquant.model.exporters.onnx_runs import (
    ELEMENTWISE,
    LEVELS,
    OPERATORS,
    ORT,
    Small,
    differing,
    feeds_of,
    kinds,
    run_onnx,
)

UNFUSED, FUSED = LEVELS

# Integer arithmetic by a contract that onnxruntime does not fuse to: its own cases below.
PROMISED = [name for name in OPERATORS if name not in ("add", "add_ratios", "mul", "mul_late")]


def _two(op: str, contract: Contract) -> tuple[Graph, Mapping[str, Any]]:
    s = Small(0)
    for name in ("x", "x2"):
        s.b.input(name, ("N", 1), dtype="uint8", quant=Quant(1.0, 0))
    graph = s.finish(op, ["x", "x2"], contract=contract, quant=Quant(2.0, 1))
    x = np.arange(8, dtype=np.uint8)[:, None]
    return graph, {"x": x, "x2": np.ones_like(x)}


def _product() -> tuple[Graph, Mapping[str, Any]]:
    """x w = 25 * 0.1 * 0.3 = 0.75 in steps of 0.06: 12.5 but for the rounding of the scales."""
    sx, sw, sy = (float(np.float32(v)) for v in (0.1, 0.3, 0.06))
    s = Small(0)
    s.b.input("x", ("N", 1), dtype="uint8", quant=Quant(sx, 0))
    w = s.b.constant("w", np.array([[1]], np.int8), quant=Quant(sw, 0))
    return s.finish("MatMul", ["x", w], quant=Quant(sy, 0)), {"x": np.array([[25]], np.uint8)}


def _softmax() -> tuple[Graph, Mapping[str, Any]]:
    graph = OPERATORS["softmax"](Small(3))
    return graph, feeds_of(graph, np.random.default_rng(3))


# (graph, level): why onnxruntime's codes are others than ours. The file says the same in both
# cases, and the QOperator form is what says our arithmetic: test_onnx_qoperator.py.
DISAGREEMENTS = {
    "product, unfused": (
        _product, UNFUSED,
        "reals are multiplied and quantized, f32(f32(x sx) f32(w sw)) / sy: 12; the contract "
        "requantizes the integer accumulator by f32(f32(sx sw) / sy): 13",
    ),
    "Add by `ort`, fused": (
        lambda: _two("Add", ORT), FUSED,
        "QLinearAdd adds the zero point before rounding, so ties go another way where it is odd",
    ),
    "Mul by `ort`, fused": (lambda: _two("Mul", ORT), FUSED, "QLinearMul, the same"),
    "Add by `ort_elementwise`, unfused": (
        lambda: _two("Add", ELEMENTWISE), UNFUSED,
        "QuantizeLinear adds the zero point after rounding",
    ),
    "Mul by `ort_elementwise`, unfused": (
        lambda: _two("Mul", ELEMENTWISE), UNFUSED,
        "QuantizeLinear adds the zero point after rounding",
    ),
    "Softmax by `ort`, fused": (
        _softmax, FUSED, "QLinearSoftmax counts in whole steps, `float_table_quotient`"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_onnxruntime_differs_where_it_is_known_to(name: str) -> None:
    make, level, why = DISAGREEMENTS[name]
    graph, feeds = make()
    wrong = differing(graph, feeds, form="qdq", level=level)
    assert wrong, f"{name}: onnxruntime agrees now ({why}); take the entry out"
    got = run_onnx(onnx_bytes(graph, form="qdq"), feeds, ["y"], level=level)["y"].astype(int)
    assert np.abs(got - run(graph, feeds)["y"].astype(int)).max() == 1, f"{name}: one code"


@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_the_other_level_agrees(name: str) -> None:
    make, level, _ = DISAGREEMENTS[name]
    graph, feeds = make()
    other = FUSED if level == UNFUSED else UNFUSED
    assert not differing(graph, feeds, form="qdq", level=other), f"{name}, {other}"


@pytest.mark.parametrize("name", PROMISED)
def test_fused_codes_are_ours(name: str) -> None:
    for seed, (x, y) in enumerate(kinds()):
        if name == "softmax":
            continue
        graph = OPERATORS[name](Small(seed, x, y))
        feeds = feeds_of(graph, np.random.default_rng(seed))
        wrong = differing(graph, feeds, form="qdq", level=FUSED, int8=True)
        assert not wrong, f"{name} {x} -> {y}: {wrong}"


def test_the_bias_is_on_the_scale_of_the_products() -> None:
    graph = OPERATORS["conv"](Small(1))
    draft = draft_onnx(graph, form="qdq")
    bias = next(n for n in draft.nodes if n.op == "DequantizeLinear" and "bias" in n.inputs)
    w = graph.constants["w/scale"].ravel()
    quant = graph.values["x"].quant
    assert quant is not None, "codes"
    products = w * np.float32(quant.scale)
    assert np.array_equal(draft.constants[bias.inputs[1]].array, products), "x scale times w scale"
    assert bias.attributes == {"axis": 0}, "one a channel"


def test_bounds_are_codes_behind_the_pair() -> None:
    ops = [made.op for made in draft_onnx(OPERATORS["gemm"](Small(1)), form="qdq").nodes]
    assert ops[-3:] == ["Gemm", "QuantizeLinear", "Clip"], f"{ops}"
