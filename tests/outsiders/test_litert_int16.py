"""LiteRT 2.3.0 on x86: int16 activations with int8 weights (16x8), operator by operator, and a net.

Every case has random parameters; codes are extremes, ties and uniform ones. What differs has an
entry in ``DISAGREEMENTS``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.execute import run
from refquant.model.importers.tflite import tflite_graph
from refquant.model.importers.tflite_kernels import TOOLS
from refquant.model.rq import write_rq
from tests.outsiders.litert import ask
from tests.refquant.model.importers.tflite_bytes import Model

refquant_runtime = pytest.importorskip(
    "refquant_runtime", reason="executes what the reference says; see `make outsiders`"
)

pytestmark = pytest.mark.torch

Rng = np.random.Generator
Made = tuple[bytes, dict[str, NDArray[Any]]]
UNIT = np.float32(2.0**-15)
INT32, INT64 = 2, 4  # of TensorType


def scale(rng: Rng) -> np.float32:
    return np.float32(10.0 ** rng.uniform(-5, -2))


def codes(rng: Rng, *shape: int, dtype: Any = np.int16) -> NDArray[Any]:
    """Uniform codes; two samples of extremes, one of small ones."""
    limits = np.iinfo(dtype)
    x = rng.integers(limits.min, limits.max + 1, shape).astype(dtype)
    x[0] = rng.choice([limits.min, limits.max], shape[1:])
    x[1] = limits.min
    x[2] = rng.integers(-3, 4, shape[1:])
    return x


def conv(rng: Rng, *, depthwise: bool = False, bias: str = "int64", group: int = 1) -> Made:
    m = Model()
    c = int(rng.choice([1, 3, 8, 16])) if group == 1 else 4 * group
    h, w = (int(v) for v in rng.integers(4, 10, 2))
    kh, kw = (int(v) for v in rng.integers(1, 4, 2))
    stride, same = int(rng.integers(1, 3)), bool(rng.integers(0, 2))
    multiplier = int(rng.choice([1, 2]))
    o = c * multiplier if depthwise else group * int(rng.choice([1, 7, 16]))
    sx, sw = scale(rng), np.float32(10.0 ** rng.uniform(-4, -2, o))
    x = m.tensor((1, h, w, c), "int16", scale=sx, name="x")
    shape = (1, kh, kw, o) if depthwise else (o, kh, kw, c // group)
    terms = int(np.prod(shape[1:3])) * (1 if depthwise else c // group)
    limit = 127 if bias == "int64" else min(127, 60000 // terms)  # sums that int32 holds
    v = m.tensor(shape, values=rng.integers(-limit, limit + 1, shape), scale=sw,
                 zero_point=np.zeros(o), axis=3 if depthwise else 0)  # fmt: skip
    ends = [x, v]
    if bias:
        wide = 10**8 if bias == "int64" else 10**7
        ends.append(m.tensor((o,), bias, values=rng.integers(-wide, wide, o), scale=sx * sw,
                             zero_point=np.zeros(o)))  # fmt: skip
    out = [-(-d // stride) if same else (d - k) // stride + 1 for d, k in ((h, kh), (w, kw))]
    size = sx * sw.mean() * terms * limit
    y = m.tensor((1, *out, o), "int16", scale=np.float32(size * 10.0 ** rng.uniform(-1.5, 0)))
    own: dict[str, Any] = {"DepthMultiplier": multiplier} if depthwise else {}
    if bias == "int32":
        own["QuantizedBiasType"] = INT32
    m.op(
        "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", ends, [y], Padding=int(not same),
        StrideW=stride, StrideH=stride, DilationWFactor=1, DilationHFactor=1,
        FusedActivationFunction=int(rng.choice([0, 1, 3])), **own,
    )  # fmt: skip
    return m.data([x], [y]), {"x": codes(rng, 4, h, w, c)}


def dense(rng: Rng, *, bias: str = "int64", several: bool = True) -> Made:
    m = Model()
    k, o = int(rng.integers(1, 300)), int(rng.integers(1, 30))
    sx, sw = scale(rng), np.float32(10.0 ** rng.uniform(-4, -2, o if several else 1))
    x = m.tensor((1, k), "int16", scale=sx, name="x")
    limit = 127 if bias == "int64" else min(127, 60000 // k)
    w = m.tensor((o, k), values=rng.integers(-limit, limit + 1, (o, k)), scale=sw,
                 zero_point=np.zeros(sw.size))  # fmt: skip
    ends = [x, w]
    if bias:
        wide = 10**8 if bias == "int64" else 10**7
        ends.append(m.tensor((o,), bias, values=rng.integers(-wide, wide, o), scale=sx * sw,
                             zero_point=np.zeros(sw.size)))  # fmt: skip
    size = sx * sw.mean() * k * limit
    y = m.tensor((1, o), "int16", scale=np.float32(size * 10.0 ** rng.uniform(-1.5, 0)))
    own = {"QuantizedBiasType": INT32} if bias == "int32" else {}
    m.op("FULLY_CONNECTED", ends, [y], FusedActivationFunction=int(rng.choice([0, 1, 3])), **own)
    return m.data([x], [y]), {"x": codes(rng, 6, k)}


def long_bias(rng: Rng, *, op: str) -> Made:
    """Channels whose weights are tiny beside their bias, which needs up to 46 bits."""
    m, o, deep = Model(), 6, op == "DEPTHWISE_CONV_2D"
    sx, sy = scale(rng), scale(rng)
    sw = (10.0 ** rng.uniform(-12, -4, o)).astype(np.float32)
    ratio = sx.astype(np.float64) * sw / sy
    limit = np.minimum(np.minimum(2.0**46, 60000 / ratio), 2.0**30 / ratio).astype(np.int64)
    bias = (limit * rng.uniform(-1, 1, o)).astype(np.int64)
    bias[0] = limit[0] | 1
    dense = op == "FULLY_CONNECTED"
    x = m.tensor((1, 4) if dense else (1, 3, 3, o if deep else 4), "int16", scale=sx, name="x")
    shape = (o, 4) if dense else (1, 1, 1, o) if deep else (o, 1, 1, 4)
    w = m.tensor(shape, values=rng.integers(-127, 128, shape), scale=sw, zero_point=np.zeros(o),
                 axis=3 if deep else 0)  # fmt: skip
    b = m.tensor((o,), "int64", values=bias, scale=sx * sw, zero_point=np.zeros(o))
    y = m.tensor((1, o) if dense else (1, 3, 3, o), "int16", scale=sy)
    own: dict[str, Any] = {"DepthMultiplier": 1} if deep else {}
    if not dense:
        own |= {"StrideW": 1, "StrideH": 1, "DilationWFactor": 1, "DilationHFactor": 1}
    m.op(op, [x, w, b], [y], **own)
    assert np.abs(bias).max() > 2**31, "else it is another test"
    return m.data([x], [y]), {"x": codes(rng, 5, *((4,) if dense else (3, 3, o if deep else 4)))}


def binary(rng: Rng, *, op: str, broadcast: bool = False) -> Made:
    m = Model()
    shapes = ((1, 5, 4, 16), (1, 1, 1, 16) if broadcast else (1, 5, 4, 16))
    sa, sb = scale(rng), scale(rng)
    if op == "SUB":  # smaller steps have ties, and are refused
        sa, sb = min(sa, sb), max(sa, sb)
    a, b = (m.tensor(shape, "int16", scale=s, name=n)
            for shape, s, n in zip(shapes, (sa, sb), "ab", strict=True))  # fmt: skip
    size = sa * sb * np.float32(32768) if op == "MUL" else max(sa, sb)
    y = m.tensor(shapes[0], "int16", scale=np.float32(size * 10.0 ** rng.uniform(-0.5, 0.5)))
    m.op(op, [a, b], [y], FusedActivationFunction=int(rng.choice([0, 1, 3])))
    return m.data([a, b], [y]), {
        n: codes(rng, 4, *shape[1:]) for n, shape in zip("ab", shapes, strict=True)
    }


def extreme(rng: Rng, *, op: str) -> Made:
    m, s = Model(), scale(rng)
    a, b = (m.tensor(d, "int16", scale=s, name=n)
            for d, n in (((1, 5, 9), "a"), ((1, 1, 9), "b")))  # fmt: skip
    y = m.tensor((1, 5, 9), "int16", scale=s)
    m.op(op, [a, b], [y])
    return m.data([a, b], [y]), {"a": codes(rng, 4, 5, 9), "b": codes(rng, 4, 1, 9)}


def transposed(rng: Rng) -> Made:
    m = Model()
    c, o = int(rng.choice([1, 3, 8])), int(rng.choice([1, 5]))
    h, w, kh, kw = (int(v) for v in (*rng.integers(2, 6, 2), *rng.integers(1, 5, 2)))
    sh, sw = (int(rng.integers(1, k + 1)) for k in (kh, kw))
    same = bool(rng.integers(0, 2))
    out = [d * t if same else (d - 1) * t + k for d, t, k in ((h, sh, kh), (w, sw, kw))]
    sx, sv = scale(rng), np.float32(10.0 ** rng.uniform(-4, -2, o))
    x = m.tensor((1, h, w, c), "int16", scale=sx, name="x")
    v = m.tensor((o, kh, kw, c), values=rng.integers(-127, 128, (o, kh, kw, c)), scale=sv,
                 zero_point=np.zeros(o))  # fmt: skip
    b = m.tensor((o,), "int64", values=rng.integers(-(10**8), 10**8, o), scale=sx * sv,
                 zero_point=np.zeros(o))  # fmt: skip
    step = np.float32(sx * sv.mean() * kh * kw * c * rng.uniform(10, 127))
    y = m.tensor((1, *out, o), "int16", scale=step)
    size = m.tensor((4,), "int32", values=[1, *out, o])
    ends = [size, v, x, b][: int(rng.integers(3, 5))]  # with a bias or none
    m.op("TRANSPOSE_CONV", ends, [y], Padding=int(not same), StrideW=sw, StrideH=sh)
    return m.data([x], [y]), {"x": codes(rng, 4, h, w, c)}


def gathered(rng: Rng) -> Made:
    m, s = Model(), scale(rng)
    x = m.tensor((1, 5, 4), "int16", scale=s, name="x")
    pads = m.tensor((3, 2), "int32", values=[0, 0, 2, 1, 0, 3])
    z = m.tensor((1, 8, 7), "int16", scale=s)
    m.op("MIRROR_PAD", [x, pads], [z], Mode=0)
    places = m.tensor((3,), "int32", values=[6, 0, 6])
    y = m.tensor((1, 8, 3), "int16", scale=s)
    m.op("GATHER", [z, places], [y], Axis=2)
    return m.data([x], [y]), {"x": codes(rng, 3, 5, 4)}


def every(m: Model, x: int, y: int, op: str, **options: Any) -> Made:
    """All 65536 codes, through one operator."""
    m.op(op, [x], [y], **options)
    return m.data([x], [y]), {"x": np.arange(-(1 << 15), 1 << 15).astype(np.int16).reshape(1, -1)}


def unary(rng: Rng, *, op: str, power: int | None = None) -> Made:
    m = Model()
    sx = scale(rng) if power is None else np.float32(2.0**power)
    sy = UNIT if op in ("LOGISTIC", "TANH") else np.float32(sx * 10.0 ** rng.uniform(-1, 1))
    x, y = (m.tensor((1, 1 << 16), "int16", scale=s, name=n) for s, n in ((sx, "x"), (sy, "y")))
    own = {"Alpha": float(rng.choice([0.2, 0.01, 1.5, -0.3]))} if op == "LEAKY_RELU" else {}
    return every(m, x, y, op, **own)


def requantize(rng: Rng, *, before: str, after: str) -> Made:
    m, sx = Model(), scale(rng)
    steps = 10.0 ** rng.uniform(-1, 1) * {"int8": 1, "int16": 256}[before]
    steps /= {"int8": 1, "int16": 256}[after]
    zeros = [int(rng.integers(-128, 128)) if d == "int8" else 0 for d in (before, after)]
    n = 1 << (8 if before == "int8" else 16)
    x = m.tensor((1, n), before, scale=sx, zero_point=zeros[0], name="x")
    y = m.tensor((1, n), after, scale=np.float32(sx * steps), zero_point=zeros[1])
    m.op("QUANTIZE", [x], [y])
    limits = np.iinfo(before)
    return m.data([x], [y]), {"x": np.arange(limits.min, limits.max + 1).astype(before)[None]}


def quantize(rng: Rng) -> Made:
    m, s = Model(), scale(rng)
    x = m.tensor((1, 520), "float32", name="x")
    y = m.tensor((1, 520), "int16", scale=s)
    m.op("QUANTIZE", [x], [y])
    odd = [32767.5, -32768.5, 3e9, np.inf, -np.inf, np.nan, -0.0]
    half = np.append(np.arange(-256, 257) * np.float32(0.5), odd)
    ties = half.astype(np.float32) * s
    rows = [np.nextafter(ties, np.float32(v)) for v in (-np.inf, np.inf)]
    return m.data([x], [y]), {"x": np.stack([ties, *rows, ties * np.float32(1000)])}


def dequantize(rng: Rng) -> Made:
    m = Model()
    x = m.tensor((1, 1 << 16), "int16", scale=scale(rng), name="x")
    return every(m, x, m.tensor((1, 1 << 16), "float32"), "DEQUANTIZE")


def softmax(rng: Rng) -> Made:
    m, n = Model(), int(rng.integers(1, 60))
    x = m.tensor((1, n), "int16", scale=np.float32(10.0 ** rng.uniform(-5, -1.5)), name="x")
    y = m.tensor((1, n), "int16", scale=UNIT)
    m.op("SOFTMAX", [x], [y], Beta=float(rng.choice([1.0, 0.5, 1.7])))
    near = (rng.normal(size=(20, n)) * 3000).clip(-32768, 32767).astype(np.int16)
    return m.data([x], [y]), {"x": np.concatenate([codes(rng, 20, n), near])}


def pool(rng: Rng, *, op: str) -> Made:
    m = Model()
    h, w, c = (int(v) for v in (*rng.integers(4, 12, 2), rng.choice([1, 3, 16])))
    k, stride, same = int(rng.integers(1, 5)), int(rng.integers(1, 4)), bool(rng.integers(0, 2))
    s = scale(rng)
    out = [-(-d // stride) if same else (d - k) // stride + 1 for d in (h, w)]
    x, y = (m.tensor(d, "int16", scale=s, name=n) for d, n in (((1, h, w, c), "x"),
                                                             ((1, *out, c), "y")))  # fmt: skip
    m.op(op, [x], [y], Padding=int(not same), StrideW=stride, StrideH=stride, FilterWidth=k,
         FilterHeight=k, FusedActivationFunction=int(rng.choice([0, 1, 3])))  # fmt: skip
    return m.data([x], [y]), {"x": codes(rng, 4, h, w, c)}


def mean(rng: Rng, *, op: str = "MEAN") -> Made:
    m = Model()
    shape = (1, int(rng.integers(1, 9)), int(rng.integers(1, 9)), 12)
    axes = [[1, 2], [3], [1], [1, 2, 3], [2, 3]][int(rng.integers(0, 5))]
    keep, sx = bool(rng.integers(0, 2)), scale(rng)
    out = tuple(1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes)
    x = m.tensor(shape, "int16", scale=sx, name="x")
    a = m.tensor((len(axes),), "int32", values=axes)
    y = m.tensor(out, "int16", scale=np.float32(sx * 10.0 ** rng.uniform(0, 1)))
    if op != "MEAN":
        m.tensors[y]["scale"] = m.tensors[x]["scale"]
        if out == (1,):
            return mean(rng, op=op)
    m.op(op, [x, a], [y], KeepDims=keep)
    return m.data([x], [y]), {"x": codes(rng, 4, *shape[1:])}


def moves(rng: Rng) -> Made:
    """PAD, CONCATENATION, TRANSPOSE, STRIDED_SLICE and RESHAPE in a row."""
    m, s = Model(), scale(rng)
    x = m.tensor((1, 4, 3, 2), "int16", scale=s, name="x")
    pads = m.tensor((4, 2), "int32", values=[0, 0, 1, 0, 0, 2, 0, 1])
    padded = m.tensor((1, 5, 5, 3), "int16", scale=s)
    m.op("PAD", [x, pads], [padded])
    twice = m.tensor((1, 5, 5, 6), "int16", scale=s)
    m.op("CONCATENATION", [padded, padded], [twice], Axis=3)
    order = m.tensor((4,), "int32", values=[0, 3, 1, 2])
    turned = m.tensor((1, 6, 5, 5), "int16", scale=s)
    m.op("TRANSPOSE", [twice, order], [turned])
    begin, end, step = (m.tensor((4,), "int32", values=v)
                        for v in ([0, 1, 0, 2], [1, 6, 4, 5], [1, 1, 1, 1]))  # fmt: skip
    cut = m.tensor((1, 5, 4, 3), "int16", scale=s)
    m.op("STRIDED_SLICE", [turned, begin, end, step], [cut])
    shape = m.tensor((2,), "int32", values=[1, 60])
    y = m.tensor((1, 60), "int16", scale=s, name="y")
    m.op("RESHAPE", [cut, shape], [y])
    return m.data([x], [y]), {"x": codes(rng, 3, 4, 3, 2)}


def audio(rng: Rng) -> Made:
    """Reals, convolution, depthwise, pooling, residual sum, dense layer, softmax, reals."""
    m = Model()

    def layer(x: int, shape: tuple[int, ...], op: str, w: tuple[int, ...], s: float) -> int:
        deep = op == "DEPTHWISE_CONV_2D"
        sw = np.float32(rng.uniform(0.002, 0.01, shape[-1]))
        v = m.tensor(w, values=rng.integers(-127, 128, w), scale=sw, zero_point=np.zeros(sw.size),
                     axis=3 if deep else 0)  # fmt: skip
        b = m.tensor(shape[-1:], "int64", values=rng.integers(-(10**5), 10**5, shape[-1]))
        y = m.tensor(shape, "int16", scale=s)
        own = {} if op[0] == "F" else {"StrideW": 1, "StrideH": 1, "Padding": 0,
                                      "DilationWFactor": 1, "DilationHFactor": 1}  # fmt: skip
        if deep:
            own["DepthMultiplier"] = 1
        m.op(op, [x, v, b], [y], FusedActivationFunction=int(op[0] != "F"), **own)
        return y

    real = m.tensor((1, 12, 10, 1), "float32", name="x")
    x = m.tensor((1, 12, 10, 1), "int16", scale=2.0**-13)
    m.op("QUANTIZE", [real], [x])
    a = layer(x, (1, 12, 10, 8), "CONV_2D", (8, 3, 3, 1), 3e-4)
    b = layer(a, (1, 12, 10, 8), "DEPTHWISE_CONV_2D", (1, 3, 3, 8), 3e-4)
    c = m.tensor((1, 12, 10, 8), "int16", scale=4e-4)
    m.op("ADD", [a, b], [c], FusedActivationFunction=0, PotScaleInt16=False)
    p = m.tensor((1, 6, 5, 8), "int16", scale=4e-4)
    m.op("AVERAGE_POOL_2D", [c], [p], Padding=1, StrideW=2, StrideH=2, FilterWidth=2,
         FilterHeight=2)  # fmt: skip
    d = layer(p, (1, 5), "FULLY_CONNECTED", (5, 240), 5e-4)
    e = m.tensor((1, 5), "int16", scale=UNIT)
    m.op("SOFTMAX", [d], [e], Beta=1.0)
    y = m.tensor((1, 5), "float32", name="y")
    m.op("DEQUANTIZE", [e], [y])
    return m.data([real], [y]), {"x": rng.normal(size=(8, 12, 10, 1)).astype(np.float32)}


CASES: dict[str, Callable[[Rng], Made]] = {
    "QUANTIZE": quantize,
    "DEQUANTIZE": dequantize,
    "QUANTIZE of int8": lambda r: requantize(r, before="int8", after="int16"),
    "QUANTIZE to int8": lambda r: requantize(r, before="int16", after="int8"),
    "QUANTIZE of int16": lambda r: requantize(r, before="int16", after="int16"),
    "FULLY_CONNECTED": dense,
    "FULLY_CONNECTED, one scale": lambda r: dense(r, several=False),
    "FULLY_CONNECTED, int32 bias": lambda r: dense(r, bias="int32"),
    "FULLY_CONNECTED, no bias": lambda r: dense(r, bias=""),
    "CONV_2D": conv,
    "CONV_2D, int32 bias": lambda r: conv(r, bias="int32"),
    "CONV_2D, two groups": lambda r: conv(r, group=2),
    "DEPTHWISE_CONV_2D": lambda r: conv(r, depthwise=True),
    "DEPTHWISE_CONV_2D, no bias": lambda r: conv(r, depthwise=True, bias=""),
    "FULLY_CONNECTED, long bias": lambda r: long_bias(r, op="FULLY_CONNECTED"),
    "CONV_2D, long bias": lambda r: long_bias(r, op="CONV_2D"),
    "DEPTHWISE_CONV_2D, long bias": lambda r: long_bias(r, op="DEPTHWISE_CONV_2D"),
    "ADD": lambda r: binary(r, op="ADD"),
    "ADD, broadcast": lambda r: binary(r, op="ADD", broadcast=True),
    "SUB": lambda r: binary(r, op="SUB"),
    "SUB, broadcast": lambda r: binary(r, op="SUB", broadcast=True),
    "MAXIMUM": lambda r: extreme(r, op="MAXIMUM"),
    "MINIMUM": lambda r: extreme(r, op="MINIMUM"),
    "ABS": lambda r: unary(r, op="ABS"),
    "TRANSPOSE_CONV": transposed,
    "GATHER and MIRROR_PAD": gathered,
    "MUL": lambda r: binary(r, op="MUL"),
    "MUL, broadcast": lambda r: binary(r, op="MUL", broadcast=True),
    "RELU": lambda r: unary(r, op="RELU"),
    "RELU6": lambda r: unary(r, op="RELU6"),
    "LEAKY_RELU": lambda r: unary(r, op="LEAKY_RELU"),
    "AVERAGE_POOL_2D": lambda r: pool(r, op="AVERAGE_POOL_2D"),
    "MAX_POOL_2D": lambda r: pool(r, op="MAX_POOL_2D"),
    "movement": moves,
    "LOGISTIC": lambda r: unary(r, op="LOGISTIC"),
    "TANH": lambda r: unary(r, op="TANH"),
    "SOFTMAX": softmax,
    "MEAN": mean,
    "REDUCE_MAX": lambda r: mean(r, op="REDUCE_MAX"),
    "REDUCE_MIN": lambda r: mean(r, op="REDUCE_MIN"),
    "an audio net": audio,
}
DISAGREEMENTS: dict[tuple[str, str], int] = {}


def the_runtime(graph: Any, path: Any, feeds: dict[str, NDArray[Any]]) -> NDArray[Any]:
    write_rq(path, graph)
    (made,) = refquant_runtime.Session(path).run(feeds).values()
    return np.asarray(made)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("case", CASES)
def test_every_code_is_litert_s(case: str, tool: str, tmp_path: Any) -> None:
    differ = total = 0
    for seed in range(30):
        data, feeds = CASES[case](np.random.default_rng(seed))
        theirs = ask(data, tool, feeds)
        g = tflite_graph(data, path=case, contract=tool)
        (ours,) = run(g, feeds).values()
        assert ours.dtype == theirs.dtype, f"{case}: {ours.dtype}"
        differ += int(np.count_nonzero(ours.reshape(theirs.shape) != theirs))
        total += theirs.size
        if seed < 5:
            executed = the_runtime(g, tmp_path / f"{seed}.rq", feeds)
            assert np.array_equal(executed, ours), f"{case} by {tool}: the runtime is not ours"
    assert differ == DISAGREEMENTS.get((case, tool), 0), f"{case} by {tool}: {differ} of {total}"


@pytest.mark.parametrize(("op", "power"), [("LOGISTIC", -12), ("TANH", -12), ("TANH", -11)])
def test_curves_of_powers_of_two(op: str, power: int) -> None:
    """Only by the reference kernels: LiteRT's optimized ones are gemmlowp's there."""
    data, feeds = unary(np.random.default_rng(0), op=op, power=power)
    theirs = ask(data, "tflite_reference", feeds)
    g = tflite_graph(data, path=op, contract="tflite_reference")
    assert np.array_equal(next(iter(run(g, feeds).values())), theirs), f"{op} of 2^{power}"
