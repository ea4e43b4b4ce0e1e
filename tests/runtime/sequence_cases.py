"""Small random graphs of the operators of sequences and of imported models, with inputs for them.

Sizes are drawn so that tails of every vector width occur; half the cases leave the length of the
sequences open, `T`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract, preset
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant
from tests.runtime.weight_formats import KINDS, weight

Rng = np.random.Generator
Array = NDArray[Any]
Feeds = dict[str, Array]
Case = tuple[Graph, list[Feeds]]

ODD = (0.0, -0.0, 1e-40, -1e-40, 0.5, 2.5, 1e30, -1e30, np.inf, -np.inf, np.nan)


def reals(rng: Rng, shape: tuple[int, ...], *, odd: float = 0.02) -> NDArray[np.float32]:
    """Floats of moderate size, a few of them odd."""
    values = rng.standard_normal(shape) * 10 ** rng.integers(-1, 2, shape).astype(float)
    return np.where(rng.random(shape) < odd, rng.choice(ODD, shape), values).astype(np.float32)


def pick(rng: Rng, *sizes: int) -> int:
    return int(rng.choice(sizes))


def lengths(rng: Rng) -> tuple[int | str, tuple[int, ...]]:
    """The size of the axis of steps, and the lengths to run."""
    if rng.random() < 0.5:
        return "T", (pick(rng, 1, 2, 17), pick(rng, 5, 16, 33))
    return (size := pick(rng, 1, 4, 17, 33)), (size,)


def feeds(rng: Rng, graph: Graph, steps: int, bounds: Mapping[str, tuple[int, int]]) -> Feeds:
    """Two samples for every input, int32 ones within ``bounds``."""
    made: Feeds = {}
    for name in graph.inputs:
        value = graph.values[name]
        shape = tuple({"N": 2, "T": steps}.get(str(d), d) for d in value.shape)
        if value.dtype == "float32":
            made[name] = reals(rng, shape)  # type: ignore[arg-type] # all are numbers now
        else:
            low, high = bounds.get(name, (-3, 4))
            made[name] = rng.integers(low, high, shape).astype(value.dtype)  # type: ignore[arg-type]
    return made


def embedding(rng: Rng, contract: Contract) -> Case:
    """Gather from tables of every kind, then normalizations."""
    b = Builder("embedding")
    t, runs = lengths(rng)
    rows, c = pick(rng, 1, 3, 20), pick(rng, 1, 7, 32, 50)
    ids = b.input("ids", ("N", t), dtype="int32")
    kind = str(rng.choice(["float32", *KINDS]))
    if kind == "float32":
        table = b.constant("table", reals(rng, (rows, c)))
    else:
        table = weight(b, rng, "table", (rows, c), int(rng.integers(0, 2)), kind)
    x = b.node("Gather", [table, ids], name="x", contract=None if kind == "float32" else contract)
    scale, bias = b.constant("scale", reals(rng, (c,))), b.constant("bias", reals(rng, (c,)))
    names = [scale, bias] if rng.random() < 0.7 else [scale]
    epsilon = float(rng.choice([1e-12, 1e-3]))
    ln = b.node("LayerNormalization", [x, *names], name="ln", attributes={"epsilon": epsilon})
    rms = b.node("RMSNormalization", [x, scale], name="rms")
    mask = b.node("Cast", [ids], name="mask", attributes={"to": 1})
    wide = b.node("Unsqueeze", [mask], name="wide", attributes={"axes": [1]})
    pooled = b.node("Squeeze", [b.node("MatMul", [wide, ln], name="pool")],
                    attributes={"axes": [1]}, name="pooled")  # fmt: skip
    count = b.node("ReduceSum", [mask], name="count", attributes={"axes": [1]})
    over = b.node("Div", [pooled, count], name="over")
    less = b.node("Sub", [mask, b.constant("one", np.ones(1, np.float32))], name="less")
    graph = b.graph([x, ln, rms, over, less])
    return graph, [feeds(rng, graph, s, {"ids": (-rows, rows)}) for s in runs]


def attend(rng: Rng, contract: Contract) -> Case:
    """Attention after rotations, with 3 axes and with 4, masks of every shape."""
    b = Builder("attend")
    t, runs = lengths(rng)
    groups = pick(rng, 1, 2)
    heads, d, e = groups * pick(rng, 1, 3), 2 * pick(rng, 1, 3, 8), pick(rng, 1, 5, 16)
    flat = rng.random() < 0.6
    s = t if rng.random() < 0.6 else pick(rng, 1, 6, 18)

    def shape(count: int, steps: int | str, size: int) -> tuple[int | str, ...]:
        return ("N", steps, count * size) if flat else ("N", count, steps, size)

    q, k = b.input("q", shape(heads, t, d)), b.input("k", shape(groups, s, d))
    v, where = b.input("v", shape(groups, s, e)), b.input("p", ("N", t), dtype="int32")
    r = d if rng.random() < 0.5 else 2 * int(rng.integers(1, d // 2 + 1))
    angles = [b.constant(n, reals(rng, (9, r // 2))) for n in ("cos", "sin")]
    given: dict[str, Any] = {"interleaved": int(rng.integers(0, 2))}
    given |= {"rotary_embedding_dim": r} if r < d else {}
    given |= {"num_heads": heads} if flat else {}
    turned = b.node("RotaryEmbedding", [q, *angles, where], name="turned", attributes=given)
    masks: list[tuple[int | str, ...]] = [("N", 1, 1, s), ("N", heads, t, s), ("N", 1, t, 1)]
    inputs = [turned, k, v]
    if rng.random() < 0.6:
        inputs.append(b.input("m", masks[int(rng.integers(0, 3))]))
    own: dict[str, Any] = {"is_causal": int(rng.integers(0, 2))}
    own |= {"q_num_heads": heads, "kv_num_heads": groups} if flat else {}
    own |= {"scale": 0.3} if rng.random() < 0.5 else {}
    y = b.node("Attention", inputs, name="y", attributes=own)
    graph = b.graph([turned, y])
    return graph, [feeds(rng, graph, n, {"p": (0, 9)}) for n in runs]


def walk(rng: Rng, contract: Contract) -> Case:
    """GRU and LSTM in every direction, weights of reals and of codes, with states and without."""
    b = Builder("walk")
    t, runs = lengths(rng)
    op = str(rng.choice(["GRU", "LSTM"]))
    gates, direction = (
        (3 if op == "GRU" else 4),
        str(rng.choice(["forward", "reverse", "bidirectional"])),
    )
    d = 2 if direction == "bidirectional" else 1
    i, h = pick(rng, 1, 5, 16), pick(rng, 1, 3, 16, 65)
    inputs = [b.input("x", ("N", t, i))]
    contracted = None
    for name, size in (("w", i), ("r", h)):
        shape = (d, gates * h, size)
        if rng.random() < 0.3:
            contracted = contract
            inputs.append(
                weight(b, rng, name, shape, int(rng.integers(1, 3)), str(rng.choice(KINDS)))
            )
        else:
            inputs.append(b.constant(name, reals(rng, shape, odd=0) / 4))
    inputs.append(
        b.constant("b", reals(rng, (d, 2 * gates * h), odd=0)) if rng.random() < 0.7 else ""
    )
    states = [b.input(f"s{n}", ("N", d, h)) for n in range(gates - 2) if rng.random() < 0.7]
    inputs += ["", *states]
    own: dict[str, Any] = {"hidden_size": h, "layout": 1, "direction": direction}
    own |= {"linear_before_reset": int(rng.integers(0, 2))} if op == "GRU" else {}
    outputs = ["y", *(f"y{n}" for n in range(gates - 2))]
    while inputs and not inputs[-1]:
        inputs.pop()
    b.node_with(op, inputs, outputs, name="node", attributes=own, contract=contracted)
    graph = b.graph(outputs)
    return graph, [feeds(rng, graph, n, {}) for n in runs]


def coded_walk(rng: Rng, contract: Contract) -> Case:
    """GRU and LSTM of codes in every direction, reals and codes before them, with states."""
    b = Builder("coded_walk")
    contract = preset(str(rng.choice(["ort", "xnnpack", "tflite_reference", "tflite_builtin"])))
    t, runs = lengths(rng)
    op = str(rng.choice(["GRU", "LSTM"]))
    gates = 3 if op == "GRU" else 4
    direction = str(rng.choice(["forward", "reverse", "bidirectional"]))
    d = 2 if direction == "bidirectional" else 1
    i, h = pick(rng, 1, 5, 16, 33), pick(rng, 1, 3, 16, 65)
    dtype, y_dtype = (str(rng.choice(["int8", "uint8"])) for _ in "xy")

    def ruler(of: str) -> Quant:
        zero = rng.integers(-128, 128) if of == "int8" else rng.integers(0, 256)
        return Quant(float(np.float32(10 ** rng.uniform(-3, -1))), int(zero))

    ours = {"dtype": dtype, "quant": ruler(dtype), "contract": contract}
    inputs = [b.node("QuantizeLinear", [b.input("x", ("N", t, i))], name="x/codes", **ours)]  # type: ignore[arg-type] # mypy sees one type for all
    for name, size in (("w", i), ("r", h)):
        shape = (d, gates * h, size)
        grid = [(), (d, 1, 1), (d, gates * h, 1)][int(rng.integers(0, 3))]
        scale = (10 ** rng.uniform(-4, -1, grid)).astype(np.float32)
        quant = Quant(float(scale), 0) if not grid else Quant(
            b.constant(f"{name}/scale", scale), 0,
            tuple(k if g == 1 else 1 for g, k in zip(grid, shape, strict=True)))  # fmt: skip
        bits = pick(rng, 8, 8, 4, 3)
        codes = rng.integers(-(1 << bits - 1), 1 << bits - 1, shape).astype(np.int8)
        inputs.append(b.constant(name, codes, dtype=f"int{bits}", quant=quant))
    biased = rng.random() < 0.7
    inputs.append(b.constant("b", reals(rng, (d, 2 * gates * h))) if biased else "")
    states = [b.input(f"s{n}", ("N", d, h)) for n in range(gates - 2) if rng.random() < 0.7]
    inputs += ["", *states]
    while not inputs[-1]:
        inputs.pop()
    own: dict[str, Any] = {"hidden_size": h, "layout": 1, "direction": direction}
    own |= {"linear_before_reset": int(rng.integers(0, 2))} if op == "GRU" else {}
    outputs = ["y", *(f"y{n}" for n in range(gates - 2))]
    b.node_with(op, inputs, outputs, name="node", attributes=own, contract=contract, dtype=y_dtype,
                quant=ruler(y_dtype))  # fmt: skip
    graph = b.graph([*outputs, b.node("DequantizeLinear", ["y"], name="real", contract=contract)])
    return graph, [feeds(rng, graph, n, {}) for n in runs]


def reduce(rng: Rng, contract: Contract) -> Case:
    """Sums, means and extremes along any axes; parts of axes."""
    b = Builder("reduce")
    t, runs = lengths(rng)
    shape = [t, *(pick(rng, 1, 2, 5, 17) for _ in range(2))]
    x = b.input("x", ("N", *shape))
    axes = sorted(int(a) for a in rng.choice([1, 2, 3], int(rng.integers(1, 4)), replace=False))
    given: dict[str, Any] = {"axes": axes, "keepdims": int(rng.integers(0, 2))}
    ys = [b.node(op, [x], name=op, attributes=given)
          for op in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")]  # fmt: skip
    start = int(rng.integers(-3, 3))
    part: dict[str, Any] = {
        "axes": [2, -1],
        "starts": [start, 0],
        "ends": [99, pick(rng, 1, 3, -1)],
    }
    ys.append(b.node("Slice", [x], name="part", attributes=part))
    axis: dict[str, Any] = {"axis": int(rng.integers(1, 4)), "keepdims": int(rng.integers(0, 2))}
    for op in ("ArgMax", "ArgMin"):
        last = {"select_last_index": int(rng.integers(0, 2))}
        ys.append(b.node(op, [x], name=op, attributes=axis | last))
    place = int(rng.integers(2, 4))
    size = int(shape[place - 1])
    most: dict[str, Any] = {"k": int(rng.integers(1, size + 1)), "axis": place}
    most["largest"] = int(rng.integers(0, 2))
    ys += b.node_with("TopK", [x], ["best", "places"], name="top", attributes=most)
    graph = b.graph(ys)
    return graph, [feeds(rng, graph, n, {}) for n in runs]


def truths(rng: Rng, contract: Contract) -> Case:
    """Comparisons, connectives, Where, Max, Min, Cast and rounding, broadcast."""
    b = Builder("truths")
    t, runs = lengths(rng)
    c, h = pick(rng, 1, 3, 17), pick(rng, 1, 4)
    a = b.input("a", ("N", h, t, c))
    small = tuple(d if rng.random() < 0.6 else 1 for d in ("N", h, t, c))
    other = b.input("z", ("N", *small[1:]))
    number = b.input("i", ("N", 1, t, 1), dtype="int32")
    rounded = b.node("Round", [a], name="rounded")
    ys = [rounded, *(b.node(op, [a], name=op) for op in ("Floor", "Ceil", "Sign"))]
    ys.append(b.node("Gelu", [a], name="tanh", attributes={"approximate": "tanh"}))
    tests = [b.node(op, [rounded, other], name=op)
             for op in ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual")]  # fmt: skip
    zero = b.constant("zero", np.array([0, 1], np.int32)[:1])
    whole = b.node("Greater", [number, zero], name="whole")
    both = b.node("And", [tests[1], whole], name="both")
    any_ = b.node("Or", [tests[0], b.node("Not", [both], name="not")], name="any")
    ys += [*tests, both, any_]
    ys += [b.node(op, [a, other], name=op) for op in ("Max", "Min")]
    ys.append(b.node("Where", [any_, a, other], name="where"))
    ys.append(b.node("Where", [whole, number, zero], name="wherei"))
    for source, name in ((a, "f"), (number, "i"), (any_, "u")):
        for to in (1, 6, 9):
            ys.append(b.node("Cast", [source], name=f"{name}{to}", attributes={"to": to}))
    graph = b.graph(ys)
    return graph, [feeds(rng, graph, n, {}) for n in runs]


def axes(rng: Rng, contract: Contract) -> Case:
    """Gather along any axis, of reals, int32 and codes; transposed convolutions."""
    b = Builder("axes")
    rank = pick(rng, 1, 2)
    c, group = pick(rng, 1, 3, 8), pick(rng, 1, 1, 2)
    space = tuple(pick(rng, 1, 3, 6) for _ in range(rank))
    x = b.input("x", ("N", c * group, *space))
    kernel = tuple(pick(rng, 1, 2, 3) for _ in range(rank))
    dilations = [pick(rng, 1, 2) for _ in range(rank)]
    room = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
    own: dict[str, Any] = {
        "strides": [pick(rng, 1, 2, 3) for _ in range(rank)], "dilations": dilations,
        "pads": [int(rng.integers(0, (r + 1) // 2 + 1)) if r else 0 for r in room] + [0] * rank,
        "output_padding": [pick(rng, 0, 1) for _ in range(rank)], "group": group,
    }  # fmt: skip
    m = pick(rng, 1, 5, 17)
    inputs = [x, b.constant("w", reals(rng, (c * group, m, *kernel), odd=0))]
    if rng.random() < 0.5:
        inputs.append(b.constant("bias", reals(rng, (m * group,))))
    ys = [b.node("ConvTranspose", inputs, name="up", attributes=own)]
    axis = int(rng.integers(1, 2 + rank))
    size = int(("N", c * group, *space)[axis])  # type: ignore[call-overload] # the axis is no N
    chosen = rng.integers(-size, size, pick(rng, 1, 4)).astype(np.int32)
    places = b.constant("places", chosen)
    ys.append(b.node("Gather", [x, places], name="moved", attributes={"axis": axis}))
    quant = Quant(0.5, 3)
    codes = b.input("q", ("N", 3, 4), dtype="uint8", quant=quant)
    two = b.constant("two", np.array([[2, 0], [-1, 1]], np.int32))
    ys.append(b.node("Gather", [codes, two], name="codes", attributes={"axis": 1}, dtype="uint8",
                     quant=quant))  # fmt: skip
    number = b.input("i", ("N", 5), dtype="int32")
    ys.append(b.node("Gather", [number, two], name="numbers", attributes={"axis": -1}))
    graph = b.graph(ys)
    return graph, [feeds(rng, graph, 1, {"q": (0, 256)})]


CASES: dict[str, Callable[[Rng, Contract], Case]] = {
    case.__name__: case for case in (embedding, attend, walk, coded_walk, reduce, truths, axes)
}
