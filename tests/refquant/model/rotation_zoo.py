"""Small graphs with everything that a rotation meets, and how alike two graphs are.

Weights are random, gains and shifts are large and differ, one channel of the stream is loud: what
is forgotten shows at once.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph

NEARLY = 100.0
"""dB: noise of 1e-5, or 170 units of float32's roundoff. Both graphs round each operation once, a
hundred in a row at most, and a weight once more; what is forgotten leaves less than 40 dB."""

C, HEADS, KV, HEAD, WIDE = 24, 4, 2, 8, 40


class Maker(Builder):
    """A builder that draws constants; ``self.rng`` is the zoo's own."""

    def __init__(self, name: str) -> None:
        """Begin a graph called ``name``."""
        super().__init__(name)
        self.rng = np.random.default_rng(len(name))

    def weight(self, name: str, *shape: int) -> str:
        """Add a weight of about unit gain."""
        w = self.rng.standard_normal(shape) / math.sqrt(shape[0])
        return self.constant(name, w.astype(np.float32))

    def linear(self, x: str, n: int, name: str, *, bias: bool = True) -> str:
        """Add a product with a matrix, and a bias."""
        k = self.values[x].shape[-1]
        assert isinstance(k, int), "vectors have a length"
        w = self.weight(f"{name}.w", k, n)
        if not bias:
            return self.node("MatMul", [x, w], name=name)
        y = self.node("MatMul", [x, w], name=f"{name}/product")
        return self.node("Add", [y, self.weight(f"{name}.b", n)], name=name)

    def norm(self, op: str, x: str, name: str) -> str:
        """Add a norm whose gains, and shifts, are far from 1 and 0."""
        k = self.values[x].shape[-1]
        assert isinstance(k, int), "vectors have a length"
        gain = np.exp2(self.rng.integers(-2, 3, k)).astype(np.float32)
        names = [x, self.constant(f"{name}.g", gain)]
        if op == "LayerNormalization":
            names.append(self.weight(f"{name}.s", k))
        return self.node(op, names, name=name, attributes={"epsilon": 1e-5})


def llama() -> Graph:
    """RMS norms, shared key heads, SwiGLU, a table of embeddings, a head."""
    b = Maker("llama")
    ids = b.input("ids", ("N", "T"), dtype="int32")
    table = b.rng.standard_normal((11, C)).astype(np.float32)
    table[:, 3] *= 30  # the outlier channel
    x = b.node("Gather", [b.constant("table", table), ids], name="x")
    for i in range(2):
        h = b.norm("RMSNormalization", x, f"{i}.norm1")
        q, k, v = (
            b.linear(h, heads * HEAD, f"{i}.{name}", bias=False)
            for name, heads in (("q", HEADS), ("k", KV), ("v", KV))
        )
        counts = {"q_num_heads": HEADS, "kv_num_heads": KV, "is_causal": 1}
        a = b.node("Attention", [q, k, v], attributes=counts, name=f"{i}.attention")
        x = b.node("Add", [x, b.linear(a, C, f"{i}.o", bias=False)], name=f"{i}.sum1")
        h = b.norm("RMSNormalization", x, f"{i}.norm2")
        gate = b.node("Swish", [b.linear(h, WIDE, f"{i}.gate", bias=False)], name=f"{i}.swish")
        up = b.node("Mul", [gate, b.linear(h, WIDE, f"{i}.up", bias=False)], name=f"{i}.product")
        x = b.node("Add", [b.linear(up, C, f"{i}.down", bias=False), x], name=f"{i}.sum2")
    y = b.linear(b.norm("RMSNormalization", x, "norm"), 11, "head", bias=False)
    return b.graph([y])


def whisper() -> Graph:
    """LayerNorms with shifts, q, k and v in one product, positions, an entry, a norm as output."""
    b = Maker("whisper")
    x = b.input("mel", ("N", 6, 8))
    w, bias = b.weight("conv.w", C, 6, 3), b.weight("conv.b", C)
    x = b.node("Conv", [x, w, bias], attributes={"pads": [1, 1]}, name="conv")
    x = b.node("Transpose", [b.node("Gelu", [x], name="gelu")], attributes={"perm": [0, 2, 1]},
               name="steps")  # fmt: skip
    x = b.node("Add", [x, b.weight("places", 8, C)], name="x")
    for i in range(2):
        h = b.norm("LayerNormalization", x, f"{i}.norm1")
        qkv = b.linear(h, 3 * HEADS * HEAD, f"{i}.qkv")
        n = HEADS * HEAD
        parts = [
            b.node("Slice", [qkv], name=f"{i}.{name}",
                   attributes={"starts": [j * n], "ends": [(j + 1) * n], "axes": [2]})
            for j, name in enumerate("qkv")
        ]  # fmt: skip
        counts = {"q_num_heads": HEADS, "kv_num_heads": HEADS}
        a = b.node("Attention", parts, attributes=counts, name=f"{i}.attention")
        x = b.node("Add", [x, b.linear(a, C, f"{i}.o")], name=f"{i}.sum1")
        h = b.norm("LayerNormalization", x, f"{i}.norm2")
        h = b.node("Gelu", [b.linear(h, WIDE, f"{i}.fc1")], name=f"{i}.gelu")
        x = b.node("Add", [x, b.linear(h, C, f"{i}.fc2")], name=f"{i}.sum2")
    return b.graph([b.norm("LayerNormalization", x, "audio")])


def bert() -> Graph:
    """Norms behind the sums: R1 does not pass."""
    b = Maker("bert")
    x = b.norm("LayerNormalization", b.input("x", ("N", "T", C)), "first")
    for i in range(2):
        q, k, v = (b.linear(x, HEADS * HEAD, f"{i}.{name}") for name in "qkv")
        counts = {"q_num_heads": HEADS, "kv_num_heads": HEADS}
        a = b.node("Attention", [q, k, v], attributes=counts, name=f"{i}.attention")
        y = b.node("Add", [b.linear(a, C, f"{i}.o"), x], name=f"{i}.sum1")
        x = b.norm("LayerNormalization", y, f"{i}.norm1")
        h = b.node("Gelu", [b.linear(x, WIDE, f"{i}.fc1")], name=f"{i}.gelu")
        y = b.node("Add", [b.linear(h, C, f"{i}.fc2"), x], name=f"{i}.sum2")
        x = b.norm("LayerNormalization", y, f"{i}.norm2")
    return b.graph([x])


def cnn() -> Graph:
    """Kernels with padding and strides, a depthwise one, 1x1, a head: integers of order 4 and 16.

    Every size is a power of 4 and every number a small integer, so that rotated or not nothing is
    rounded anywhere.
    """
    b = Maker("cnn")

    def whole(name: str, *shape: int) -> str:
        return b.constant(name, b.rng.integers(-3, 4, shape).astype(np.float32))

    x = b.input("x", ("N", 4, 6, 6))
    window = {"pads": [1, 1, 1, 1], "strides": [2, 2]}
    x = b.node("Conv", [x, whole("c1.w", 16, 4, 3, 3), whole("c1.b", 16)], attributes=window,
               name="c1")  # fmt: skip
    x = b.node("Relu", [x], name="r1")
    x = b.node("Conv", [x, whole("dw.w", 16, 1, 3, 3)], name="dw",
               attributes={"group": 16, "pads": [1, 1, 1, 1]})  # fmt: skip
    y = b.node("Conv", [x, whole("c2.w", 16, 16, 1, 1)], name="c2")
    x = b.node("Add", [x, y], name="sum")
    x = b.node("Flatten", [b.node("GlobalMaxPool", [x], name="pool")], name="flat")
    left = b.node("Gemm", [x, whole("g1.w", 5, 16), whole("g1.b", 5)], name="g1",
                  attributes={"transB": 1})  # fmt: skip
    right = b.node("Gemm", [x, whole("g2.w", 16, 5)], name="g2")
    return b.graph([left, right])


ZOO: Mapping[str, Callable[[], Graph]] = {
    "llama": llama, "whisper": whisper, "bert": bert, "cnn": cnn,
}  # fmt: skip


def inputs_of(graph: Graph, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return two samples of 5 steps, integers, with one loud channel."""
    rng = np.random.default_rng(seed)
    made: dict[str, NDArray[Any]] = {}
    for name in graph.inputs:
        value = graph.values[name]
        shape = [{"N": 2, "T": 5}[d] if isinstance(d, str) else d for d in value.shape]
        x = rng.integers(0, 9, shape) if value.dtype == "int32" else rng.integers(-9, 10, shape)
        made[name] = x.astype(value.dtype)
    return made


def likeness(graph: Graph, other: Graph, seed: int = 0) -> float:
    """Return the least SQNR of their outputs, in dB; infinite for the same bits."""
    given = inputs_of(graph, seed)
    a, b = run(graph, given), run(other, given)
    least = math.inf
    for name in graph.outputs:
        exact = a[name].astype(np.float64)
        noise = float(((b[name] - exact) ** 2).sum())
        if noise > 0:
            least = min(least, 10 * math.log10(float((exact**2).sum()) / noise))
    return least
