"""The runtime and the reference read one text and compute the same bits: operator by operator.

Each case is a small graph with random shapes, attributes, codes and parameters, drawn so that ties,
saturation and tails of every vector width occur. Both sides run it; every bit is compared, on every
instruction set of this CPU and with one and two threads.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from refquant.contracts import Contract, preset
from refquant.formats.qparams import QParams
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph, Quant
from refquant.model.rq import write_rq
from refquant.ops.softmax import softmax_table
from refquant_runtime import Session, isa
from tests.runtime.weight_formats import KINDS, weight

Rng = np.random.Generator
CONTRACTS = (
    "ort", "xnnpack", "tflite_reference", "tflite_reference_fc", "tflite_mul", "tflite_builtin",
)  # fmt: skip
TABLES_OF_SOFTMAX = ("float_table", "fixed_point_table")
TABLES = ("Sigmoid", "Requantize", "HardSwish")
FLOATS = (
    "Abs", "Neg", "Sqrt", "Exp", "Log", "Sigmoid", "Tanh", "Erf", "Gelu", "Swish", "Elu",
    "Softplus", "HardSigmoid", "HardSwish", "Relu", "LeakyRelu", "Clip", "Identity",
)  # fmt: skip
SCALES = (2.0**-7, 0.1, 1 / 3, 1 / 255, 0.02)


def quant(rng: Rng, dtype: str) -> Quant:
    """Parameters that make ties common: powers of two, and odd zero points."""
    scale = float(np.float32(rng.choice(SCALES)))
    low, high = (-128, 127) if dtype == "int8" else (0, 255)
    return Quant(scale, int(rng.integers(low, high + 1)))


def codes(rng: Rng, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Codes with the extremes over-represented."""
    low, high = (-128, 127) if dtype == "int8" else (0, 255)
    values = rng.integers(low, high + 1, shape)
    edge = rng.random(shape) < 0.2
    return np.where(edge, rng.choice([low, high], shape), values).astype(dtype)


def reals(rng: Rng, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Floats with signed zeros, subnormals, halves and huge values among them."""
    values = rng.standard_normal(shape) * 10 ** rng.integers(-3, 3, shape).astype(float)
    odd = rng.choice([0.0, -0.0, 1e-40, -1e-40, 0.5, -0.5, 2.5, 1e30, -1e30, 88.7], shape)
    return np.where(rng.random(shape) < 0.2, odd, values).astype(np.float32)


def eight(rng: Rng) -> str:
    return str(rng.choice(["int8", "uint8"]))


def window(rng: Rng, *, flat: bool) -> tuple[tuple[int, ...], dict[str, Any], tuple[int, ...]]:
    """A spatial shape, attributes and a kernel that fit each other."""
    rank = 1 if flat else 2
    kernel = tuple(int(k) for k in rng.choice([1, 2, 3, 5], rank))
    dilations = [int(d) for d in rng.integers(1, 3, rank)]
    spatial = tuple(int(k * d + rng.integers(0, 9)) for k, d in zip(kernel, dilations, strict=True))
    attributes = {
        "strides": [int(s) for s in rng.integers(1, 4, rank)],
        "pads": [int(p) for p in rng.integers(0, 3, 2 * rank)],
        "dilations": dilations,
        "kernel_shape": list(kernel),
    }
    return spatial, attributes, kernel


def conv(rng: Rng, contract: Contract) -> Graph:
    b = Builder("conv")
    spatial, attributes, kernel = window(rng, flat=bool(rng.random() < 0.3))
    group = int(rng.choice([1, 1, 2, 3]))
    c, m = int(rng.integers(1, 20)), int(rng.choice([1, 5, 16, 33, 70]))
    depthwise = rng.random() < 0.4
    if depthwise:
        c = m = group = int(rng.choice([2, 7, 16, 33]))
    else:
        c, m = c * group, m * group
    attributes["group"] = group
    xd, wd, yd = eight(rng), eight(rng), eight(rng)
    x = b.input("x", ("N", c, *spatial), dtype=xd, quant=quant(rng, xd))
    scales = rng.choice(SCALES, (m, *[1] * (1 + len(kernel)))).astype(np.float32)
    b.constant("w/scale", scales)
    wq = Quant("w/scale", 0 if wd == "int8" else 131, (1, c // group, *kernel))
    w = b.constant("w", codes(rng, wd, (m, c // group, *kernel)), quant=wq)
    bias = b.constant("b", rng.integers(-9000, 9000, m).astype(np.int32), quant=Quant(1.0, 0))
    if rng.random() < 0.5:
        attributes |= {"clamp_min": 3, "clamp_max": 90}
    return b.graph([b.node("Conv", [x, w, bias], attributes=attributes, contract=contract,
                           dtype=yd, quant=coarse(rng, yd))])  # fmt: skip


def coarse(rng: Rng, dtype: str) -> Quant:
    """An output scale large enough that not everything saturates; TFLite's multipliers stay < 1."""
    return Quant(
        float(np.float32(rng.choice([1.0, 4.0, 10.0, 33.3]))), quant(rng, dtype).zero_point
    )


def dense(rng: Rng, contract: Contract) -> Graph:
    b = Builder("dense")
    k, n, rows = (int(rng.choice([1, 3, 4, 17, 64, 65])) for _ in range(3))
    xd, yd = eight(rng), eight(rng)
    x = b.input("x", ("N", rows, k), dtype=xd, quant=quant(rng, xd))
    zero = int(rng.choice([0, 5]))
    w = b.constant("w", codes(rng, "int8", (k, n)), quant=Quant(float(np.float32(0.01)), zero))
    return b.graph([b.node("MatMul", [x, w], contract=contract, dtype=yd, quant=coarse(rng, yd))])


def elementwise(rng: Rng, contract: Contract) -> Graph:
    b = Builder("elementwise")
    shape = tuple(int(s) for s in rng.integers(1, 9, int(rng.integers(1, 4))))
    ad, bd, yd = eight(rng), eight(rng), eight(rng)
    x = b.input("x", ("N", *shape), dtype=ad, quant=quant(rng, ad))
    if rng.random() < 0.5:
        other = b.input("z", ("N", *shape), dtype=bd, quant=quant(rng, bd))
    else:
        small = tuple(s if rng.random() < 0.5 else 1 for s in shape)
        other = b.constant("z", codes(rng, bd, small), quant=quant(rng, bd))
    op = str(rng.choice(["Add", "Mul"]))
    scale = Quant(float(np.float32(rng.choice([0.5, 1.0, 0.7]))), quant(rng, yd).zero_point)
    return b.graph([b.node(op, [x, other], contract=contract, dtype=yd, quant=scale)])


def pooling(rng: Rng, contract: Contract) -> Graph:
    b = Builder("pool")
    spatial, attributes, kernel = window(rng, flat=bool(rng.random() < 0.3))
    attributes |= {"dilations": [1] * len(kernel)}
    attributes["pads"] = [
        min(p, k - 1) for p, k in zip(attributes["pads"], kernel * 2, strict=True)
    ]
    d = eight(rng)
    q = quant(rng, d)
    x = b.input("x", ("N", int(rng.choice([1, 3, 17, 64])), *spatial), dtype=d, quant=q)
    op = str(rng.choice(["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"]))
    if op == "AveragePool":
        attributes["count_include_pad"] = int(rng.integers(0, 2))
    if op.startswith("Global"):
        attributes = {}
    if "Max" in op:
        return b.graph([b.node(op, [x], attributes=attributes)])
    yq = q if contract.average_pool == "half_away" else quant(rng, d)
    return b.graph([b.node(op, [x], attributes=attributes, contract=contract, dtype=d, quant=yq)])


def convert(rng: Rng, contract: Contract) -> Graph:
    b = Builder("convert")
    d = eight(rng)
    x = b.input("x", ("N", int(rng.choice([1, 15, 64, 100]))))
    q = b.node("QuantizeLinear", [x], contract=contract, dtype=d, quant=quant(rng, d))
    op = str(rng.choice(TABLES))
    table = b.constant("table", codes(rng, d, (256,)), dtype=d)
    yq = quant(rng, d)
    t = b.node(op, [q, table], contract=contract, dtype=d, quant=yq)
    back = b.node("DequantizeLinear", [t], contract=contract)
    return b.graph([q, t, back])


def dynamic(rng: Rng, contract: Contract) -> Graph:
    b = Builder("dynamic")
    k, n = int(rng.choice([3, 16, 33])), int(rng.choice([2, 16, 65]))
    spatial = rng.random() < 0.5
    x = b.input("x", ("N", k, 5, 6) if spatial else ("N", k))
    b.node_with("DynamicQuantizeLinear", [x], ["q", "s", "z"], name="dq", contract=contract)
    shape = (n, k, 3, 3) if spatial else (k, n)
    w = b.constant("w", codes(rng, "int8", shape), quant=Quant(0.015625, 0))
    bias = b.constant("b", reals(rng, (n,)))
    op = "ConvIntegerToFloat" if spatial else "MatMulIntegerToFloat"
    y = b.node(op, ["q", w, "s", "z", bias], contract=contract)
    plain = b.constant("v", codes(rng, "uint8", shape), dtype="uint8")
    zero = b.constant("vz", np.array(7, np.uint8))
    raw = b.node("ConvInteger" if spatial else "MatMulInteger", ["q", plain, "z", zero],
                 contract=contract)  # fmt: skip
    return b.graph(["q", y, raw])


def floating(rng: Rng, contract: Contract) -> Graph:
    b = Builder("float")
    spatial, attributes, kernel = window(rng, flat=bool(rng.random() < 0.3))
    c, m = (4, 4) if rng.random() < 0.3 else (int(rng.integers(1, 9)), int(rng.choice([3, 16, 40])))
    attributes["group"] = 4 if (c, m) == (4, 4) else 1
    x = b.input("x", ("N", c, *spatial))
    shape = (m, c // attributes["group"], *kernel)
    kind = str(rng.choice(["float32", "int8", "int4", "uint2"]))
    if kind == "float32":
        w = b.constant("w", rng.standard_normal(shape).astype(np.float32))
    else:
        low, high, zero = {"int8": (-128, 128, 3), "int4": (-8, 8, -2), "uint2": (0, 4, 1)}[kind]
        block = (1, 2, *kernel)
        grid = tuple(-(-s // p) for s, p in zip(shape, block, strict=True))
        b.constant("w/scale", rng.uniform(0.01, 0.1, grid).astype(np.float32))
        b.constant("w/zero", np.full(grid, zero, np.int32))
        stored = rng.integers(low, high, shape).astype("uint8" if kind == "uint2" else "int8")
        w = b.constant("w", stored, dtype=kind, quant=Quant("w/scale", "w/zero", block))
    bias = b.constant("b", rng.standard_normal(m).astype(np.float32))
    needs = None if kind == "float32" else contract
    h = b.node("Conv", [x, w, bias], attributes=attributes, contract=needs)
    h = b.node("Relu", [h], name="r")
    side = b.node("Add", [h, b.constant("k", reals(rng, (m, *[1] * len(kernel))))], name="sum")
    pad = [0, 0, *[1] * len(kernel)] * 2
    pooled = b.node("AveragePool", [b.node("Pad", [side], attributes={"pads": pad, "value": 0.5})],
                    attributes={"kernel_shape": [2] * len(kernel)}, name="p")  # fmt: skip
    flat = b.node("Flatten", [pooled], name="f")
    return b.graph([h, flat, b.node("Softmax", [flat], name="soft")])


def functions(rng: Rng, contract: Contract) -> Graph:
    b = Builder("functions")
    x = b.input("x", ("N", int(rng.choice([1, 7, 64, 100]))))
    attributes = {
        "Elu": {"alpha": 0.7}, "LeakyRelu": {"alpha": 0.3}, "Clip": {"min": -1.5, "max": 2.25},
        "HardSigmoid": {"alpha": 0.3, "beta": 0.4},
    }  # fmt: skip
    ys = [b.node(op, [x], name=op, attributes=attributes.get(op, {})) for op in FLOATS]
    y = b.constant("y", reals(rng, (1,)))
    return b.graph([*ys, *(b.node(op, [x, y], name=op) for op in ("Add", "Sub", "Mul", "Div"))])


def movement(rng: Rng, contract: Contract) -> Graph:
    b = Builder("movement")
    d = str(rng.choice(["int8", "uint8", "float32"]))
    q = None if d == "float32" else quant(rng, d)
    c, h, w = (int(v) for v in rng.integers(1, 6, 3))
    x = b.input("x", ("N", c, h, w), dtype=d, quant=q)
    p = b.node("MaxPool", [x], attributes={"kernel_shape": [1, 1]}, name="last")  # channels last
    t = b.node("Transpose", [p], attributes={"perm": [0, 2, 3, 1]}, name="t")
    pads = [
        0,
        *(int(v) for v in rng.integers(0, 3, 3)),
        0,
        *(int(v) for v in rng.integers(0, 3, 3)),
    ]
    padded = b.node("Pad", [p], attributes={"pads": pads}, name="pad")
    axis = int(rng.integers(1, 4))
    joined = b.node("Concat", [p, x, p], attributes={"axis": axis}, name="cat")
    shaped = b.node("Reshape", [joined], attributes={"shape": [0, -1, 1]}, name="shape")
    return b.graph([t, padded, joined, shaped, b.node("Flatten", [padded], name="flat")])


def products(rng: Rng, contract: Contract) -> Graph:
    """MatMul of two computed tensors, in floats and in codes."""
    b = Builder("products")
    m, k, n = (int(v) for v in rng.choice([1, 3, 8, 17], 3))
    a, c = b.input("x", ("N", m, k)), b.input("z", ("N", k, n))
    real = b.node("MatMul", [a, c], name="real")
    d, e, f = eight(rng), eight(rng), eight(rng)
    qa = b.node("QuantizeLinear", [a], contract=contract, dtype=d, quant=quant(rng, d))
    qc = b.node("QuantizeLinear", [c], contract=contract, dtype=e, quant=quant(rng, e))
    whole = b.node("MatMul", [qa, qc], contract=contract, dtype=f, quant=coarse(rng, f))
    return b.graph([real, whole])


def weights(rng: Rng, contract: Contract) -> Graph:
    """Weights in every format beside float32 activations, in every operator that has them."""
    b = Builder("weights")
    kinds = rng.choice(KINDS, 5)
    k, n = int(rng.choice([1, 5, 32, 65])), int(rng.choice([1, 3, 17, 70]))
    line = b.input("x", ("N", 2, k))
    row = b.input("r", ("N", k))
    group = int(rng.choice([1, 2]))
    plane = b.input("p", ("N", 4 * group, 5, 4))
    y = [b.node("MatMul", [line, weight(b, rng, "a", (k, n), 0, kinds[0])], name="ya",
                contract=contract)]  # fmt: skip
    bias = b.constant("bias", reals(rng, (n,)))
    for trans, name in ((1, "b"), (0, "c")):
        shape = (n, k) if trans else (k, n)
        w = weight(b, rng, name, shape, trans, kinds[1 + trans])
        attributes = {"transB": trans}
        y.append(b.node("Gemm", [row, w, bias], name=f"y{name}", attributes=attributes,
                        contract=contract))  # fmt: skip
    w = weight(b, rng, "d", (6 * group, 4, 3, 2), int(rng.integers(1, 4)), kinds[3])
    around: dict[str, Any] = {"pads": (1, 0, 1, 1), "group": group}
    y.append(b.node("Conv", [plane, w], name="yd", attributes=around, contract=contract))
    w = weight(b, rng, "e", (4 * group, 1, 3, 3), int(rng.integers(0, 4)), kinds[4])
    around = {"pads": (1, 1, 1, 1), "group": 4 * group}
    y.append(b.node("Conv", [plane, w], name="ye", attributes=around, contract=contract))
    return b.graph(y)


def means(rng: Rng, contract: Contract) -> Graph:
    """Means of codes and of reals: of planes, channels last, and along neighbouring axes."""
    b = Builder("means")
    d, e = eight(rng), eight(rng)
    shape = tuple(int(v) for v in rng.choice([1, 2, 3, 7, 17, 40], 3))
    axes = [(2, 3), (1,), (1, 2), (3,), (-1, -2, 1), (2,)][int(rng.integers(0, 6))]
    attributes: dict[str, Any] = {"axes": axes, "keepdims": int(rng.integers(0, 2))}
    x = b.input("x", ("N", *shape))
    real = b.node("ReduceMean", [x], name="real", attributes=attributes)
    if contract.mean == "unspecified":
        return b.graph([real])
    q = b.input("q", ("N", *shape), dtype=d, quant=quant(rng, d))
    flat = b.node("MaxPool", [q], attributes={"kernel_shape": (1, 1)}, name="last")
    same = [
        b.node("ReduceMean", [source], attributes=attributes, contract=contract, dtype=e,
               quant=quant(rng, e), name=f"m{i}")
        for i, source in enumerate((q, flat))
    ]  # fmt: skip
    return b.graph([real, *same])


def exponentials(rng: Rng, contract: Contract) -> Graph:
    """Softmax of codes by the tables of TFLite, and its channels turned before and behind."""
    if contract.softmax not in TABLES_OF_SOFTMAX:
        contract = preset(str(rng.choice(["tflite_builtin", "tflite_reference"])))
    b = Builder("exponentials")
    d, e = eight(rng), eight(rng)
    shape = tuple(int(v) for v in rng.choice([1, 2, 3, 17, 40], 3))
    xq = quant(rng, d)
    x = b.input("x", ("N", *shape), dtype=d, quant=xq)
    t = b.node("Transpose", [x], attributes={"perm": (0, 3, 1, 2)}, name="t")
    p = b.node("MaxPool", [t], attributes={"kernel_shape": (1, 1)}, name="p")
    u = b.node("Transpose", [p], attributes={"perm": (0, 2, 3, 1)}, name="u")
    ruler = QParams(np.float32(xq.scale), np.int32(xq.zero_point), None, d)
    table = b.constant("exp", softmax_table(ruler, beta=float(rng.choice([1.0, 0.3, 9.0])),
                                            contract=contract))  # fmt: skip
    low = -128 if e == "int8" else 0
    yq = Quant(2.0**-8, low)
    if contract.softmax == "float_table" and rng.random() < 0.5:
        yq = quant(rng, e)
    y = b.node("Softmax", [u, table], attributes={"axis": int(rng.integers(1, 4))}, dtype=e,
               quant=yq, contract=contract, name="y")  # fmt: skip
    return b.graph([t, u, y])


CASES: dict[str, Callable[[Rng, Contract], Graph]] = {
    case.__name__: case
    for case in (
        conv, dense, elementwise, pooling, convert, dynamic, floating, functions, movement,
        products, weights, means, exponentials,
    )
}  # fmt: skip


def feeds_of(rng: Rng, graph: Graph, samples: int) -> dict[str, NDArray[Any]]:
    feeds = {}
    for name in graph.inputs:
        value = graph.values[name]
        shape = (samples, *(int(s) for s in value.shape[1:]))
        feeds[name] = (
            reals(rng, shape) if value.dtype == "float32" else codes(rng, value.dtype, shape)
        )
    return feeds


def same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Equal shape, dtype and bytes; a NaN equals any NaN (its payload has no meaning)."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype != np.float32:
        return bool(np.array_equal(a, b))
    equal = (a.view(np.int32) == b.view(np.int32)) | (np.isnan(a) & np.isnan(b))
    return bool(equal.all())


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("path", isa.available())
@pytest.mark.parametrize("case", CASES)
def test_runtime_equals_reference(
    case: str, path: str, threads: int, tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("REFQUANT_ISA", path)
    file = tmp_path_factory.mktemp(case) / "m.rq"

    @settings(max_examples=15 if path == isa.available()[-1] else 8)
    @given(seed=st.integers(0, 2**32 - 1), contract=st.sampled_from(CONTRACTS))
    def law(seed: int, contract: str) -> None:
        check(case, seed, contract, file, threads)

    law()


def check(case: str, seed: int, contract: str, file: Path, threads: int) -> None:
    """Build one case, run both sides, compare every output."""
    rng = np.random.default_rng(seed)
    graph = CASES[case](rng, preset(contract))
    feeds = feeds_of(rng, graph, int(rng.integers(1, 4)))
    write_rq(file, graph)
    session = Session(file, threads=threads)
    try:
        compare(session, graph, feeds, f"{case} seed {seed} contract {contract}")
    finally:
        session.close()


def compare(session: Session, graph: Graph, feeds: Mapping[str, NDArray[Any]], case: str) -> None:
    """Run both sides, compare every output bit for bit."""
    with np.errstate(all="ignore"):
        expected = run(graph, feeds)
    actual = session.run(feeds)
    for name in graph.outputs:
        assert same_bits(expected[name], actual[name]), (
            f"{case}: output {name!r} differs in "
            f"{np.count_nonzero(expected[name] != actual[name])} of {actual[name].size}"
        )
