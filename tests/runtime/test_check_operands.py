"""Dtypes and parameters of operands, against the reference: it refuses what we call wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refquant.model.rq import RqFormatError, parse_rq
from refquant_runtime import FormatError, UnsupportedError
from refquant_runtime.check import bind
from refquant_runtime.read_graph import read_graph
from tests.runtime.zoo import edited

Tree = dict[str, Any]
Edit = Callable[[Tree], Any]


def node(kind: str, **fields: Any) -> Edit:
    """Change fields of the first node of an operator."""
    return lambda tree: next(n for n in tree["nodes"] if n["op"] == kind).update(fields)


def value(name: str, **fields: Any) -> Edit:
    return lambda tree: tree["values"][name].update(fields)


def plain(name: str, dtype: str = "float32") -> Edit:
    """Make a value one without quant."""

    def edit(tree: Tree) -> None:
        tree["values"][name].update(dtype=dtype)
        tree["values"][name].pop("quant", None)

    return edit


def added(op: str, inputs: list[str], y: Tree, contract: str | None = "ort", **more: Any) -> Edit:
    """Append a node and its output, which becomes one of the graph."""

    def edit(tree: Tree) -> None:
        tree["values"]["new"] = y
        entry = {"name": "new", "op": op, "inputs": inputs, "outputs": ["new"], "attributes": more}
        tree["nodes"].append(entry | ({"contract": contract} if contract else {}))
        tree["outputs"].append("new")

    return edit


def both(*edits: Edit) -> Edit:
    return lambda tree: [edit(tree) for edit in edits]


Q = {"scale": 0.25, "zero_point": 3}
TINY = {"scale": 2.0**-126, "zero_point": 0}
CODES = {"dtype": "uint8", "shape": ["N", 3, 4, 4], "quant": Q}
POOLED = {"dtype": "uint8", "shape": ["N", 3, 1, 1], "quant": Q}
F32 = {"dtype": "float32", "shape": ["N", 3, 4, 4]}
LIKE_X = {"dtype": "float32", "shape": ["N", 2, 4, 4]}
X = "conv_1"  # codes, described by CODES
HUGE: dict[str, Any] = {"kernel_shape": [4000, 4000], "pads": [3998] * 4, "strides": [5000, 5000]}
IN_MOVEMENT: dict[str, tuple[Edit, str]] = {
    "dtype": (value("p", dtype="uint8", quant=Q), "must have one dtype"),
    "scale": (value("p", quant=Q), "must share parameters"),
    "no quant": (plain("p", "int8"), "must share parameters"),
    "pad value": (
        node("Pad", attributes={"pads": [0, 0, 1, 0, 0, 1, 0, 2], "value": 1}),
        "value is 0",
    ),
}
IN_CODES: dict[str, tuple[Edit, str]] = {
    "quantize codes": (added("QuantizeLinear", [X], CODES), "must be float32"),
    "dequantize floats": (added("DequantizeLinear", ["x"], LIKE_X, None), "takes quantized codes"),
    "a difference of codes": (added("Sub", [X, X], CODES), "must be float32"),
    "a quotient of codes": (added("Div", [X, X], F32), "must be float32"),
    "a table for floats": (added("Tanh", ["x", "table"], LIKE_X, None), "a table goes with codes"),
    "no table": (added("Tanh", [X], CODES), "needs a table of 256 codes"),
    "an absent table": (added("Tanh", [X, ""], CODES), "needs a table of 256 codes"),
    "table dtype": (added("Tanh", [X, "table"], CODES | {"dtype": "int8"}), "the output's dtype"),
    "table shape": (added("Tanh", [X, X], CODES), "its table has shape"),
    "requantize floats": (added("Requantize", ["x"], LIKE_X, None), "goes with codes"),
    "relu rescales": (added("Relu", [X], CODES | {"quant": TINY}), "must share parameters"),
    "clip by reals": (added("Clip", [X], CODES, min=0.5), "clamps codes by clamp_min"),
    "mean overflows": (added("AveragePool", [X], POOLED, **HUGE), "an int32 sum may reach"),
    "mean infinite": (
        both(value(X, quant={"scale": 2.0**64, "zero_point": 3}),
             lambda tree: tree["nodes"].__delitem__(slice(2, None)),
             lambda tree: [tree["values"].pop(n) for n in [*tree["values"]] if n[-1] in "3456789"],
             lambda tree: [tree["values"].pop(n) for n in ("sigmoid_2", "y")],
             lambda tree: tree.update(outputs=[]),
             added("GlobalAveragePool", [X], POOLED | {"quant": TINY})),
        "is infinite: the output needs a larger scale",
    ),
    "weights plain": (plain("w1", "int8"), "weights are constants with quant"),
    "bias plain": (plain("b1", "int32"), "bias is an int32 constant with quant"),
    "codes to floats": (plain("matmul_9"), "must be float32"),
}  # fmt: skip
IN_OTHERS: dict[str, tuple[str, Edit, str]] = {
    "softmax unspecified": (
        "codes_xnnpack", added("Softmax", [X], CODES, "xnnpack"), "no integer Softmax",
    ),
    "mean rescales": (
        "codes_tflite", value("globalaveragepool_7", quant=Q), "must share dtype and parameters",
    ),
    "dynamic to int8": ("dynamic", value("q", dtype="int8"), "outputs are"),
    "dynamic with quant": ("dynamic", value("q", quant=Q), "outputs carry no quant"),
    "a bias of MatMul": ("weight_only", node("MatMul", inputs=["x", "w", "x"]), "bias"),
}  # fmt: skip
WRONG: dict[str, tuple[str, Edit, str]] = {
    **{f"movement {k}": ("movement", *case) for k, case in IN_MOVEMENT.items()},
    **{k: ("codes_ort", *case) for k, case in IN_CODES.items()},
    **IN_OTHERS,
}


@pytest.mark.parametrize("name", WRONG)
def test_operands_that_do_not_fit_are_refused_by_both_readers(name: str, tmp_path: Path) -> None:
    model, edit, rule = WRONG[name]
    data = edited(model, edit)
    file = tmp_path / "m.rq"
    file.write_bytes(data)
    with pytest.raises(FormatError, match=rule):
        bind(read_graph(file), 1)
    with pytest.raises(RqFormatError):
        parse_rq(data, name="m.rq")


SHORTS = {"dtype": "uint16", "shape": [3], "quant": {"scale": 0.5, "zero_point": 3}}
LIMITS: dict[str, tuple[str, Edit, str]] = {
    "16-bit codes": ("codes_ort", value("quantizelinear_0", dtype="uint16"), "of uint16 is not im"),
    "moving them": (
        "passing",
        both(value("x", dtype="uint16"), added("Identity", ["x"], SHORTS, None)),
        "moves uint16 is not impl",
    ),
    "a computed bias": ("float_cnn", node("Gemm", inputs=["flatten_12", "w3", "k"]), "bias"),
    "computed weights": ("float_cnn", node("Gemm", inputs=["flatten_12", "k2", "b3"]), "weights"),
    "bounds crossed": ("float_cnn", node("Clip", attributes={"min": 2, "max": 1}), "above max"),
}


def computed(tree: Tree) -> None:
    """Compute a bias and weights from constants."""
    for name, source, shape in (("k", "b3", [3]), ("k2", "w3", [3, 4])):
        tree["values"][name] = {"dtype": "float32", "shape": shape}
        entry = {"op": "Exp", "inputs": [source], "outputs": [name], "attributes": {}}
        tree["nodes"].insert(0, {"name": name, **entry})


@pytest.mark.parametrize("name", LIMITS)
def test_what_the_reference_can_and_we_cannot_is_unsupported(name: str, tmp_path: Path) -> None:
    model, edit, limit = LIMITS[name]
    data = edited(model, both(computed, edit) if model == "float_cnn" else edit)
    file = tmp_path / "m.rq"
    file.write_bytes(data)
    with pytest.raises(UnsupportedError, match=limit):
        bind(read_graph(file), 1)
    if name != "16-bit codes":  # whose other nodes are then wrong
        parse_rq(data, name="m.rq")


@pytest.mark.parametrize(
    ("model", "edit"),
    [
        ("codes_ort", added("AveragePool", [X], CODES, kernel_shape=[1, 1], clamp_max=9)),
        ("codes_ort", added("Relu", [X, ""], CODES)),
        ("codes_ort", added("Clip", [X], CODES, clamp_min=5, clamp_max=9)),
        ("codes_ort", added("Softmax", [X], CODES)),
        ("float_cnn", added("Clip", ["y"], {"dtype": "float32", "shape": ["N", 3]}, None)),
    ],
)
def test_what_fits_passes_both_readers(model: str, edit: Edit, tmp_path: Path) -> None:
    data = edited(model, edit)
    (tmp_path / "m.rq").write_bytes(data)
    bind(read_graph(tmp_path / "m.rq"), 1)
    assert "new" in parse_rq(data, name="m.rq").outputs, "the reference accepts it, too"
