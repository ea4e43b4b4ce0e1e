"""QOperator models: onnxruntime's quantizer made them, or they are one node with rough numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnxruntime.quantization import QuantFormat, QuantType

from refquant.contracts import preset
from refquant.model.execute import run
from refquant.model.exporters.onnx_export import onnx_bytes
from refquant.model.importers.onnx_import import OnnxUnsupportedError, import_onnx
from refquant.ops.quantize_linear import dynamic_quantize_linear
from tests.refquant.model.importers.onnx_models import ask_ort, model, node, reals
from tests.refquant.model.importers.test_onnx_qdq import layer_by_layer, network, quantized

F = np.float32
MS = "com.microsoft"
U8, S8 = QuantType.QUInt8, QuantType.QInt8


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("activation", "weight"), [(U8, S8), (S8, S8), (U8, U8)])
def test_every_layer_has_the_codes_of_onnxruntime(
    tmp_path: Path, activation: Any, weight: Any, per_channel: bool
) -> None:
    made = quantized(
        network(), tmp_path, [{"x": reals(100 + i, 4, 3, 8, 8)} for i in range(2)],
        quant_format=QuantFormat.QOperator, activation_type=activation, weight_type=weight,
        per_channel=per_channel,
    )  # fmt: skip
    graph = import_onnx(made.SerializeToString())
    theirs_too = {o for n in made.graph.node for o in n.output}
    codes = [n for n, v in graph.values.items() if v.quant is not None and n in theirs_too]
    made.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in codes)
    x = {"x": reals(7, 32, 3, 8, 8)}
    names = [value.name for value in made.graph.output]
    theirs = dict(zip(names, ask_ort(made, x, optimized=True), strict=True))
    found = layer_by_layer(graph, {**x, **theirs})
    assert len(found) >= 12, f"all kinds of operators: {sorted(found)}"
    wrong = {op: n for op, n in found.items() if n[0]}
    assert not wrong, f"operator: (codes that differ, of): {wrong}"


def scale_of(rng: Any) -> Any:
    """A power of two, which makes ties, or anything."""
    return (
        F(2.0 ** rng.integers(-4, 3) * rng.choice([1, 3]))
        if rng.random() < 0.7
        else F(rng.uniform(0.01, 0.1))
    )


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("seed", range(15))
def test_ties_of_two_operands(op: str, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    limits = np.iinfo(dtype)
    a, b = (rng.integers(limits.min, limits.max + 1, 256).astype(dtype) for _ in range(2))
    zeros = [np.array(z, dtype) for z in rng.integers(limits.min, limits.max + 1, 3)]
    sa, sb, sy = (np.array(scale_of(rng)) for _ in range(3))
    sy = sy * F(64) if op == "QLinearMul" else sy
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    made = model(
        [node(op, ["a", "sa", "za", "b", "sb", "zb", "sy", "zy"], ["y"], domain=MS)],
        {"a": ([256], kind), "b": ([256], kind)}, ["y"],
        {"sa": sa, "sb": sb, "sy": sy, "za": zeros[0], "zb": zeros[1], "zy": zeros[2]},
        domains=[MS], kinds={"y": kind},
    )  # fmt: skip
    feeds = {"a": a, "b": b}
    ours = run(import_onnx(made.SerializeToString()), feeds)["y"]
    differ = np.argwhere(ours != ask_ort(made, feeds)[0])
    assert not len(differ), f"{len(differ)} of 256 codes, first at {differ[:1]}"


def test_dynamic_operators() -> None:
    w = np.random.default_rng(0).integers(-127, 128, (16, 5)).astype(np.int8)
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node("MatMulInteger", ["q", "w", "z"], ["i"]),
        node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        node("Mul", ["s", "sw"], ["m"]),
        node("Mul", ["f", "m"], ["y"]),
    ]
    made = model(nodes, {"x": ["N", 16]}, ["y"], {"w": w, "sw": np.array(0.01, F)})
    graph = import_onnx(made.SerializeToString())
    x = {"x": reals(3, 1, 16)}
    assert np.array_equal(run(graph, x)["y"], ask_ort(made, x)[0]), (
        "every operation is rounded once"
    )


def test_conv_integer() -> None:
    w = np.random.default_rng(0).integers(-127, 128, (4, 2, 3, 3)).astype(np.int8)
    x = np.random.default_rng(1).integers(0, 256, (1, 2, 6, 6)).astype(np.uint8)
    made = model(
        [node("ConvInteger", ["x", "w", "z"], ["y"], pads=[1, 1, 1, 1])],
        {"x": ([1, 2, 6, 6], TensorProto.UINT8)}, ["y"], {"w": w, "z": np.array(7, np.uint8)},
        kinds={"y": TensorProto.INT32},
    )  # fmt: skip
    ours = run(import_onnx(made.SerializeToString()), {"x": x})["y"]
    assert np.array_equal(ours, ask_ort(made, {"x": x})[0]), "integers are exact"


@pytest.mark.parametrize("bias", [False, True])
def test_products_to_float(bias: bool) -> None:
    w = np.random.default_rng(0).integers(-127, 128, (16, 5)).astype(np.int8)
    scales = np.linspace(0.01, 0.02, 5).astype(F)
    held: dict[str, Any] = {"w": w, "sw": scales, "zw": np.zeros(5, np.int8), "b": reals(4, 5)}
    fused = model(
        [node("DynamicQuantizeMatMul", ["x", "w", "sw", "zw", *["b"] * bias], ["y"], domain=MS)],
        {"x": [1, 16]}, ["y"], held, domains=[MS],
    )  # fmt: skip
    apart = model(
        [
            node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
            node(
                "MatMulIntegerToFloat", ["q", "w", "s", "sw", "z", "zw", *["b"] * bias], ["y"],
                domain=MS,
            ),
        ],
        {"x": [1, 16]}, ["y"], held, domains=[MS],
    )  # fmt: skip
    x = {"x": reals(5, 1, 16)}
    for made in (fused, apart):
        ours, theirs = run(import_onnx(made.SerializeToString()), x)["y"], ask_ort(made, x)[0]
        # acc * (sx sw) + b here; onnxruntime may fuse the last two: half an ulp of each operation.
        bound = 3 * 2.0**-24 * (np.abs(theirs) + np.abs(held["b"]) * 2)
        assert (np.abs(ours - theirs) <= bound).all(), f"{np.abs(ours - theirs).max()}"


@pytest.mark.parametrize("op", ["DynamicQuantizeMatMul", "MatMulIntegerToFloat"])
@pytest.mark.parametrize("codes", ["int8", "uint8"])
@pytest.mark.parametrize("zero", ["none", "one", "channel", "middle"])
@pytest.mark.parametrize("bias", [False, True])
def test_products_of_weights_with_zero_points(op: str, codes: str, zero: str, bias: bool) -> None:
    rng, dtype = np.random.default_rng(0), np.dtype(codes)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    middle = 128 if codes == "uint8" else 0
    zeros = {"one": [7], "channel": rng.integers(low, high, 5), "middle": np.full(5, middle)}
    held: dict[str, Any] = {
        "w": rng.integers(low, high, (16, 5), endpoint=True).astype(dtype),
        "sw": np.linspace(0.01, 0.02, 5).astype(F) if zero != "one" else np.array([0.01], F),
        "b": reals(4, 5),
    }
    if zero != "none":
        held["zw"] = np.array(zeros[zero], dtype)
    w_zero, more = ("" if zero == "none" else "zw"), ["b"] * bias
    x = {"x": reals(5, 1, 16)}
    if op == "DynamicQuantizeMatMul":
        nodes, kind = [node(op, ["x", "w", "sw", w_zero, *more], ["y"], domain=MS)], [1, 16]
        made = model(nodes, {"x": kind}, ["y"], held, domains=[MS])
    else:  # no zero point of a: 0
        x = {"x": rng.integers(0, 256, (3, 16)).astype(np.uint8)}
        held["sa"] = np.array(0.1, F)
        nodes = [node(op, ["x", "w", "sa", "sw", "", w_zero, *more], ["y"], domain=MS)]
        given = {"x": ([3, 16], TensorProto.UINT8)}
        made = model(nodes, given, ["y"], held, domains=[MS])
    ours, theirs = run(import_onnx(made.SerializeToString()), x)["y"], ask_ort(made, x)[0]
    bound = 3 * 2.0**-24 * (np.abs(theirs) + np.abs(held["b"]) * 2)  # as above
    assert (np.abs(ours - theirs) <= bound).all(), f"{np.abs(ours - theirs).max()}"


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(("k", "block"), [(64, 16), (40, 32)])
def test_weights_of_four_bits(k: int, block: int, zeros: bool) -> None:
    rng = np.random.default_rng(0)
    n, blocks = 6, -(-k // block)
    held: dict[str, Any] = {
        "w": rng.integers(0, 256, (n, blocks, block // 2)).astype(np.uint8),
        "s": rng.uniform(0.01, 0.1, (n * blocks)).astype(F),
    }
    if zeros:
        held["z"] = rng.integers(0, 256, (n * -(-blocks // 2))).astype(np.uint8)
    made = model(
        [
            node(
                "MatMulNBits", ["x", "w", "s", *["z"] * zeros], ["y"], domain=MS,
                K=k, N=n, bits=4, block_size=block,
            )
        ],
        {"x": ["N", k]}, ["y"], held, domains=[MS],
    )  # fmt: skip
    graph = import_onnx(made.SerializeToString())
    assert graph.values["w"].dtype == "uint4", "codes stay codes"
    x = {"x": np.eye(k, dtype=F)}
    assert np.array_equal(run(graph, x)["y"], ask_ort(made, x)[0]), "one code, one real"


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        (
            [node("QLinearGlobalAveragePool", ["x", "s", "z", "s", "z"], ["y"], domain=MS,
                  channels_last=1)],
            "channels_last",
        ),
        ([node("QLinearReduceMean", ["x", "s", "z"], ["y"], domain=MS)],
         "this operator is not known"),
        (
            [node("QLinearAdd", ["x", "s", "z", "x", "two", "z", "s", "z"], ["y"], domain=MS)],
            "are read as",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(nodes: Any, reason: str) -> None:
    made = model(
        nodes, {"x": ([1, 2, 3, 3], TensorProto.UINT8)}, ["y"],
        {"s": np.array(1, F), "two": np.array(2, F), "z": np.array(0, np.uint8)},
        domains=[MS], kinds={"y": TensorProto.UINT8},
    )  # fmt: skip
    with pytest.raises(OnnxUnsupportedError, match=reason):
        import_onnx(made.SerializeToString())


def dynamic_lstm(
    d: int, steps: int, *, row: bool = False, biased: bool = True, middle: int = 0
) -> tuple[Any, dict[str, Any]]:
    rng, inner, size = np.random.default_rng(steps), 16, 8
    dtype = np.uint8 if middle else np.int8
    shape = (d, 4 * size) if row else (d,)
    held: dict[str, Any] = {"b": rng.normal(size=(d, 8 * size)).astype(F)} if biased else {}
    for name, k in (("w", inner), ("r", size)):
        held[name] = (rng.integers(-127, 128, (d, k, 4 * size)) + middle).astype(dtype)
        held[f"s{name}"] = rng.uniform(0.001, 0.01, shape).astype(F)
        held[f"z{name}"] = np.full(shape, middle, dtype)
    ends = ["", "h", "c", ""] if biased else [""] * 4
    names = ["x", "w", "r", "b" if biased else "", *ends, "sw", "zw", "sr", "zr"]
    sizes: dict[str, Any] = {"x": [steps, 1, inner]}
    sizes |= {"h": [d, 1, size], "c": [d, 1, size]} if biased else {}
    made = model(
        [node("DynamicQuantizeLSTM", names, ["y", "yh", "yc"], domain=MS, hidden_size=size,
              direction="bidirectional" if d == 2 else "forward")],
        sizes, ["y", "yh", "yc"], held, domains=[MS],
    )  # fmt: skip
    return made, {n: rng.normal(size=s).astype(F) for n, s in sizes.items()}


@pytest.mark.parametrize(
    ("d", "given"),
    [(1, {}), (1, {"biased": False}), (2, {"row": True}), (1, {"middle": 128})],
)
@pytest.mark.parametrize("steps", [1, 9])
def test_lstm_of_dynamic_codes(d: int, steps: int, given: dict[str, Any]) -> None:
    """The codes of every state are onnxruntime's; its sigmoid and tanh are within 2^-21 of ours."""
    made, feeds = dynamic_lstm(d, steps, **given)
    graph = import_onnx(made.SerializeToString())
    assert sum(n.op == "DynamicQuantizeLSTM" for n in graph.nodes) == 1, "one operator"
    ours, theirs = run(graph, feeds), ask_ort(made, feeds)
    for t in range(steps):
        for i in range(d):
            states = ours["y"][t, i], theirs[0][t, i]
            mine, other = (dynamic_quantize_linear(h, preset("ort"))[0] for h in states)
            assert np.array_equal(mine, other), f"step {t}, direction {i}: the next product's codes"
    # A step adds to c at most 3 such errors and those of its scale, of the size of c.
    bound = steps * 8 * 2.0**-21 * (1 + np.abs(theirs[2]).max())
    for name, array in zip(("y", "yh", "yc"), theirs, strict=True):
        apart = np.abs(ours[name] - array).max()
        assert apart <= bound, f"{name}: {apart} apart, {bound} is the bound"
    again = import_onnx(onnx_bytes(graph, form="qdq"))
    back = run(again, feeds)
    assert all(np.array_equal(ours[n], back[n]) for n in ours), "exported, and imported again"


def test_lstm_around_another_middle_is_refused() -> None:
    made, _ = dynamic_lstm(1, 1, middle=128)
    for held in made.graph.initializer:
        if held.name == "zw":
            held.raw_data = bytes([127])
    with pytest.raises(OnnxUnsupportedError, match=r"input 1 is uint8 around \[127\]; int8 is"):
        import_onnx(made.SerializeToString())


@pytest.mark.parametrize("given", [{}, {"unidirectional": 1}, {"scale": 0.25}])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_of_dynamic_codes(masked: bool, given: dict[str, Any]) -> None:
    """Its product is `MatMulIntegerToFloat`; scores and sums are float, in another order."""
    rng, size, heads = np.random.default_rng(0), 8, 2
    held: dict[str, Any] = {
        "w": rng.integers(-127, 128, (size, 3 * size)).astype(np.int8),
        "sw": rng.uniform(0.001, 0.01, 3 * size).astype(F), "zw": np.zeros(3 * size, np.int8),
        "b": rng.normal(size=3 * size).astype(F),
    }  # fmt: skip
    made = model(
        [
            node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
            node("QAttention", ["q", "w", "b", "s", "sw", "m" if masked else "", "z", "zw"], ["y"],
                 domain=MS, num_heads=heads, **given),
        ],
        {"x": [1, 5, size], **({"m": ([1, 5], TensorProto.INT32)} if masked else {})}, ["y"], held,
        domains=[MS],
    )  # fmt: skip
    x: dict[str, Any] = {"x": rng.normal(size=(1, 5, size)).astype(F)}
    x |= {"m": np.array([[1, 1, 1, 0, 0]], np.int32)} if masked else {}
    ours, theirs = run(import_onnx(made.SerializeToString()), x)["y"], ask_ort(made, x)[0]
    # Scores of |q| |k| <= 8 * 4 have 10 roundings, a weight e^s as many of them and its own, a sum
    # of 5 values: in all below 2^8 half-ulps of the largest value.
    bound = 2.0**8 * 2.0**-24 * np.abs(theirs).max()
    assert np.abs(ours - theirs).max() <= bound, f"{np.abs(ours - theirs).max()} > {bound}"


def test_attention_of_static_codes_is_refused() -> None:
    held: dict[str, Any] = {"w": np.ones((4, 12), np.int8), "s": np.array(1, F),
                            "z": np.array(0, np.uint8), "b": np.zeros(12, F)}  # fmt: skip
    nodes = [node("QAttention", ["x", "w", "b", "s", "s", "", "z"], ["y"], domain=MS, num_heads=2)]
    made = model(nodes, {"x": ([1, 3, 4], TensorProto.UINT8)}, ["y"], held, domains=[MS])
    with pytest.raises(OnnxUnsupportedError, match=r"n_y \(QAttention\): codes of a static input"):
        import_onnx(made.SerializeToString())
