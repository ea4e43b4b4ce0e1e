"""Small graphs that together use most of the format, and files with edited bytes."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import refquant_runtime
from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant
from refquant.model.rq import rq_bytes

Array = NDArray[Any]


def reals(*shape: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(sum(shape) + len(shape))
    return rng.standard_normal(shape).astype(np.float32)


def codes(dtype: str, *shape: int) -> Array:
    rng = np.random.default_rng(sum(shape) + len(shape))
    low, high = {"int8": (-128, 128), "uint8": (0, 256), "int4": (-8, 8), "uint2": (0, 4)}[dtype]
    return rng.integers(low, high, shape).astype("uint8" if dtype[0] == "u" else "int8")


def float_cnn() -> Graph:
    """Convolutions of every form, pools, a product, functions, softmax."""
    b = Builder("float_cnn")
    x = b.input("x", ("N", 2, 6, 6))
    pads = {"pads": (1, 1, 1, 1)}
    h = b.node("Conv", [x, b.constant("w1", reals(4, 2, 3, 3)), b.constant("b1", reals(4))],
               attributes=pads)  # fmt: skip
    h = b.node("MaxPool", [b.node("Relu", [h])], attributes={"kernel_shape": (2, 2)})
    h = b.node("Conv", [h, b.constant("w2", reals(4, 1, 2, 2))], attributes={"group": 4})
    h = b.node("Clip", [h], attributes={"min": -1.0, "max": 2.5})
    h = b.node("Sub", [h, b.constant("mean", reals(4, 1, 1))])
    h = b.node("Mul", [b.node("Div", [h, b.constant("two", reals(1) + 3)]), b.node("Tanh", [h])])
    h = b.node(
        "AveragePool", [h], attributes={"kernel_shape": (2, 2), "count_include_pad": 1, **pads}
    )
    h = b.node("Flatten", [b.node("GlobalMaxPool", [b.node("LeakyRelu", [h])])])
    h = b.node("Gemm", [h, b.constant("w3", reals(3, 4)), b.constant("b3", reals(3))],
               attributes={"transB": 1})  # fmt: skip
    return b.graph([b.node("Softmax", [h], name="y")], meta={"made": ["by", "hand"], "n": 1.5})


def codes_cnn(name: str) -> Graph:
    """Codes from end to end in one contract: per channel, tables, 4-bit weights, a residual."""
    b, contract = Builder(f"codes_{name}"), preset(name)
    wide = Quant(0.25, 3)
    x = b.node("QuantizeLinear", [b.input("x", ("N", 2, 4, 4))], contract=contract, dtype="uint8",
               quant=Quant(0.0625, 7))  # fmt: skip
    b.constant("w1_scale", np.array([0.5, 0.25, 0.125], np.float32).reshape(3, 1, 1, 1))
    w1 = b.constant("w1", codes("int8", 3, 2, 3, 3), quant=Quant("w1_scale", 0, (1, 2, 3, 3)))
    bias = b.constant("b1", np.array([100, -100, 0], np.int32), quant=Quant(0.03125, 0))
    h = b.node("Conv", [x, w1, bias], attributes={"pads": (1, 1, 1, 1), "clamp_min": 3},
               contract=contract, dtype="uint8", quant=wide)  # fmt: skip
    table = b.constant("table", codes("uint8", 256))
    s = b.node("Sigmoid", [h, table], contract=contract, dtype="uint8", quant=wide)
    h = b.node("Add", [h, s], contract=contract, dtype="uint8", quant=Quant(1.0, 3))
    h = b.node("Relu", [h], contract=contract)
    h = b.node("MaxPool", [h], attributes={"kernel_shape": (2, 2), "strides": (2, 2)})
    h = b.node("Mul", [h, h], contract=contract, dtype="uint8", quant=Quant(9.0, 3))
    h = b.node("GlobalAveragePool", [h], contract=contract, dtype="uint8", quant=Quant(9.0, 3))
    w2 = b.constant("w2", codes("int4", 3, 5), dtype="int4", quant=Quant(0.125, 0))
    h = b.node("MatMul", [b.node("Flatten", [h]), w2], contract=contract, dtype="int8",
               quant=Quant(33.0, 0))  # fmt: skip
    return b.graph([h, b.node("DequantizeLinear", [h], name="y", contract=contract)])


def dynamic() -> Graph:
    """Quantized by each sample's own range; raw integer products beside it."""
    b, ort = Builder("dynamic"), preset("ort")
    x = b.input("x", ("N", 4))
    b.node_with("DynamicQuantizeLinear", [x], ["q", "s", "z"], name="d", contract=ort)
    w = b.constant("w", np.arange(-6, 6, dtype=np.int8).reshape(4, 3), quant=Quant(0.5, 0))
    bias = b.constant("bias", reals(3))
    h = b.node("MatMulIntegerToFloat", ["q", w, "s", "z", bias], contract=ort)
    v, zero = b.constant("v", codes("uint8", 4, 2)), b.constant("vz", np.array(9, np.uint8))
    raw = b.node("MatMulInteger", ["q", v, "z", zero], name="raw", contract=ort)
    return b.graph([b.node("Tanh", [h], name="y"), raw])


def weight_only() -> Graph:
    """Float activations, 4-bit weights in ragged groups with zero points, no batch."""
    b, ort = Builder("weight_only"), preset("ort")
    x = b.input("x", (2, 5))
    b.constant("scale", np.array([[0.5, 1], [2, 4], [8, 16]], np.float32))
    b.constant("zero", np.array([[0, 15], [7, 8], [1, 2]], np.int32))
    w = b.constant("w", np.arange(10, dtype=np.uint8).reshape(5, 2), dtype="uint4",
                   quant=Quant("scale", "zero", (2, 1)))  # fmt: skip
    return b.graph([b.node("MatMul", [x, w], name="y", contract=ort)])


def tables() -> Graph:
    """A weight by a table with scales of codes, one with float zero points, one in any order."""
    b, ort = Builder("tables"), preset("ort")
    x = b.input("x", ("N", 6))
    marks = b.constant("marks", np.array([0, 0.5, 1, np.nan, -0.5, -1, -3, 6], np.float32))
    powers = b.constant("powers", np.array([2.0**-127, 0.5, 2, np.nan], np.float32))
    inner = Quant(0.75, 0, None, table=powers)
    b.constant("t/scale", codes("uint2", 3, 2) % 3, dtype="uint2", quant=inner)
    t = b.constant("t", np.array([[0, 1], [2, 4], [5, 6], [7, 0], [1, 2], [4, 5]], np.uint8),
                   dtype="uint3", quant=Quant("t/scale", 0, (2, 1), table=marks))  # fmt: skip
    b.constant("f/zero", np.array([[0.5], [-7.25]], np.float32))
    f = b.constant("f", codes("int4", 2, 6) // 2, dtype="int3",
                   quant=Quant(0.25, "f/zero", (1, 6)))  # fmt: skip
    b.constant("g/scale", np.array([[0.5], [2], [0.125]], np.float32))
    order = b.constant("g/idx", np.array([2, 0, 1, 1, 0, 2], np.int32).reshape(6, 1))
    g = b.constant("g", codes("uint2", 6, 1), dtype="uint2",
                   quant=Quant("g/scale", 1, (2, 1), g_idx=order))  # fmt: skip
    y = [b.node("MatMul", [x, name], name=f"y{name}", contract=ort) for name in (t, g)]
    y.append(b.node("Gemm", [x, f], name="yf", attributes={"transB": 1}, contract=ort))
    return b.graph(y)


def movement() -> Graph:
    """Two inputs, one of them an output too; codes that only move, and a product of both."""
    b, ort = Builder("movement"), preset("ort")
    q = Quant(0.5, -3)
    a = b.input("a", ("N", 2, 3, 2), dtype="int8", quant=q)
    c = b.input("c", ("N", 3, 4))
    t = b.node("Transpose", [a], attributes={"perm": (0, 2, 3, 1)})
    p = b.node("Pad", [a], attributes={"pads": (0, 0, 1, 0, 0, 1, 0, 2)})
    r = b.node("Reshape", [b.node("Concat", [t, t], attributes={"axis": 3})],
               attributes={"shape": (0, 4, -1)})  # fmt: skip
    d = b.node("DequantizeLinear", [r], contract=ort)
    m = b.node("MatMul", [c, d], name="m")
    w = b.constant("w", codes("uint2", 2, 4, 3), dtype="uint2", quant=Quant(0.5, 1))
    line = b.node("Conv", [d, w], name="line", contract=ort)
    return b.graph(["a", b.node("Identity", [p], name="p"), m, line])


def sentence() -> Graph:
    """Sequences of any length: a table of codes, turned heads, attention, a walk, a choice."""
    b, ort = Builder("sentence"), preset("ort")
    ids, places = (b.input(n, ("N", "T"), dtype="int32") for n in ("ids", "places"))
    b.constant("scale", np.array([[0.5], [1], [2]], np.float32))
    table = b.constant("table", codes("int4", 5, 4), dtype="int4", quant=Quant("scale", 0, (2, 4)))
    x = b.node("Gather", [table, ids], name="x", contract=ort)
    x = b.node("LayerNormalization", [x, b.constant("g", reals(4)), b.constant("h", reals(4))])
    angles = [b.constant("cos", reals(3, 1)), b.constant("sin", reals(3, 1) + 1)]
    q = b.node("RotaryEmbedding", [x, *angles, places], attributes={"num_heads": 2})
    mask = b.node("Cast", [ids], attributes={"to": 1})
    mask = b.node("Unsqueeze", [mask], attributes={"axes": (1, 2)})
    heads = {"q_num_heads": 2, "kv_num_heads": 2, "is_causal": 1}
    y = b.node("Attention", [q, x, x, mask], attributes=heads, name="y")
    w, r = b.constant("w", reals(1, 9, 4)), b.constant("r", reals(1, 9, 3))
    walk = {"hidden_size": 3, "layout": 1, "linear_before_reset": 1}
    b.node_with("GRU", [y, w, r], ["steps", "last"], name="walk", attributes=walk)
    last = b.node("Squeeze", ["last"], attributes={"axes": (1,)})
    total = b.node("ReduceSum", ["steps"], attributes={"axes": (1, 2), "keepdims": 0})
    chosen = b.node("Where", [b.node("Less", [total, last]), total, last], name="chosen")
    return b.graph([y, chosen])


def passing() -> Graph:
    """No node at all."""
    b = Builder("passing")
    return b.graph([b.input("x", (3,), dtype="int16", quant=Quant(0.5, 3))])


def long_bias() -> Graph:
    """Sums of 48 bits and a bias of 64."""
    b = Builder("long_bias")
    x = b.input("x", ("N", 4), dtype="int16", quant=Quant(0.25, 0))
    w = b.constant("w", np.arange(-6, 6).reshape(4, 3).astype(np.int8), quant=Quant(2.0**-27, 0))
    bias = np.array([2**40, -(2**33), 5])
    held = b.constant("b", bias, dtype="int64", quant=Quant(2.0**-29, 0))
    y = Quant(0.25, 0)
    own = preset("tflite_int16")
    return b.graph([b.node("Gemm", [x, w, held], name="y", contract=own, dtype="int16", quant=y)])


ZOO: Mapping[str, Callable[[], Graph]] = {
    "float_cnn": float_cnn,
    "codes_ort": lambda: codes_cnn("ort"),
    "codes_xnnpack": lambda: codes_cnn("xnnpack"),
    "codes_tflite": lambda: codes_cnn("tflite_reference"),
    "dynamic": dynamic,
    "weight_only": weight_only,
    "tables": tables,
    "movement": movement,
    "passing": passing,
    "long_bias": long_bias,
    "sentence": sentence,
}


@cache
def file_of(name: str) -> bytes:
    """The bytes of one graph's file."""
    return rq_bytes(ZOO[name]())


def feeds_of(name: str, samples: int = 2) -> dict[str, Array]:
    """Inputs for one graph: ``samples`` of them where it takes any number."""
    graph, feeds = ZOO[name](), {}
    for key in graph.inputs:
        value = graph.values[key]
        sizes = {"N": samples, "T": 3}
        shape = tuple(int(sizes.get(str(size), size)) for size in value.shape)
        scaled = np.random.default_rng(len(shape)).standard_normal(shape) * 4
        if value.dtype == "int32":  # rows of a table
            scaled = np.abs(scaled) % 3
        feeds[key] = scaled.astype(value.dtype)
    return feeds


# -- files by hand: the layout of docs/spec/rq-format.md section 1, written here once more ---------


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the body of a file."""
    start = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:start]), data[start:]


def whole(header: Any, body: bytes) -> bytes:
    """A file of this header (an object, or its text) and body."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return len(text).to_bytes(8, "little") + text + body


def signed(header: dict[str, Any], body: bytes) -> bytes:
    """A file whose digests are those of its tensors, whatever these are."""
    digests = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            digests[name] = hashlib.sha256(body[begin:end]).hexdigest()
    metadata = header["__metadata__"] | {"sha256": json.dumps(digests)}
    return whole(header | {"__metadata__": metadata}, body)


def graph_of(data: bytes) -> dict[str, Any]:
    """The graph of a file, as JSON."""
    tree: dict[str, Any] = json.loads(parts(data)[0]["__metadata__"]["graph"])
    return tree


def with_graph(data: bytes, graph: Any) -> bytes:
    """The file with another graph (a tree, or its text)."""
    header, body = parts(data)
    text = graph if isinstance(graph, str) else json.dumps(graph)
    metadata = header["__metadata__"] | {"graph": text}
    return whole(header | {"__metadata__": metadata}, body)


def edited(name: str, edit: Callable[[dict[str, Any]], Any]) -> bytes:
    """The file ``name`` after ``edit`` changed its graph in place."""
    data = file_of(name)
    tree = graph_of(data)
    edit(tree)
    return with_graph(data, tree)


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process that finds this runtime, installed or not, and no ISA set."""
    kept = {key: value for key, value in os.environ.items() if key != "REFQUANT_ISA"}
    return kept | {"PYTHONPATH": str(Path(refquant_runtime.__file__).parents[1])} | changes
