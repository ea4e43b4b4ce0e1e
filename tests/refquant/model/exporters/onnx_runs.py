"""What onnxruntime computes of an exported graph, all values included; small graphs to export."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from refquant.contracts import Contract, preset
from refquant.formats.qparams import QParams
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.exporters.onnx_export import onnx_bytes
from refquant.model.graph import DTYPES, Graph, Quant
from refquant.ops.unary import unary_table

Array = NDArray[Any]
ORT = preset("ort")
ELEMENTWISE = replace(
    ORT,
    name="ort_elementwise",
    zero_point_at="before_rounding",
    requantize="float_zp_before_round_f32",
    add="scale_ratios",
)
LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL")


def computed(graph: Graph) -> list[str]:
    """Every value that a node makes."""
    return [name for node in graph.nodes for name in node.outputs]


def differing(
    graph: Graph, feeds: Mapping[str, Array], *, form: str, level: str, int8: bool = False
) -> dict[str, int]:
    """How many elements of each value differ between onnxruntime and the reference."""
    names = computed(graph)
    want = run(graph, feeds, keep=names)
    got = run_onnx(onnx_bytes(graph, form=form), feeds, names, level=level, int8=int8)
    result = {}
    for name in names:
        assert got[name].dtype == want[name].dtype, f"{name}: {got[name].dtype}"
        assert got[name].shape == want[name].shape, f"{name}: {got[name].shape}"
        result[name] = int((got[name] != want[name]).sum())
    return {name: count for name, count in result.items() if count}


def session(data: bytes, *, level: str, int8: bool = False) -> Any:
    """An onnxruntime session, one thread."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if int8:  # on x86 it does not fuse pairs of int8 without being told
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    return onnxruntime.InferenceSession(data, options)


def run_onnx(
    data: bytes, feeds: Mapping[str, Array], names: list[str], *, level: str, int8: bool = False
) -> dict[str, Array]:
    """Run the model with the values ``names`` as outputs; one sample at a time if it has one."""
    model = onnx.load_from_string(data)
    there = {value.name for value in model.graph.output}
    for name in dict.fromkeys(names):
        if name not in there:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    made = session(model.SerializeToString(), level=level, int8=int8)
    single = any(node.op_type == "DynamicQuantizeLinear" for node in model.graph.node)
    if not single:
        return dict(zip(names, made.run(names, dict(feeds)), strict=True))
    count = len(next(iter(feeds.values())))
    parts = [made.run(names, {k: a[i : i + 1] for k, a in feeds.items()}) for i in range(count)]
    return {
        name: np.concatenate([p[i] for p in parts]) if parts[0][i].ndim
        else np.stack([p[i] for p in parts])
        for i, name in enumerate(names)
    }  # fmt: skip


def codes(rng: np.random.Generator, dtype: str, *shape: int) -> Array:
    """Codes of the whole range, its ends included."""
    limits = DTYPES[dtype]
    drawn = rng.integers(limits.qmin, limits.qmax + 1, shape).astype(limits.container)
    drawn.flat[0], drawn.flat[-1] = limits.qmin, limits.qmax
    return drawn


class Small:
    """Draws graphs of one operator on codes: ``x`` of shape (N, 4, 6, 6) or (N, 6)."""

    def __init__(self, seed: int, x: str = "uint8", y: str = "uint8") -> None:
        self.rng, self.x, self.y = np.random.default_rng(seed), x, y
        self.b = Builder("small")

    def quant(self, dtype: str, size: float = 1.0) -> Quant:
        scale = np.float32(size * np.exp2(self.rng.uniform(-6, -4)))
        limits = DTYPES[dtype]
        return Quant(float(scale), int(self.rng.integers(limits.qmin, limits.qmax + 1)))

    def input(self, *shape: int | str, name: str = "x") -> str:
        return self.b.input(name, shape, dtype=self.x, quant=self.quant(self.x))

    def weight(self, name: str, dtype: str, *shape: int, axis: int | None = 0) -> str:
        array = codes(self.rng, dtype, *shape)
        if axis is None:
            return self.b.constant(name, array, dtype=dtype, quant=Quant(2.0**-7, 0))
        block = tuple(1 if i == axis else n for i, n in enumerate(shape))
        grid = tuple(n if i == axis else 1 for i, n in enumerate(shape))
        scale = np.exp2(self.rng.uniform(-8, -5, grid)).astype(np.float32)
        scales = self.b.constant(f"{name}/scale", scale)
        return self.b.constant(name, array, dtype=dtype, quant=Quant(scales, 0, block))

    def bias(self, size: int) -> str:
        array = self.rng.integers(-3000, 3000, size).astype(np.int32)
        return self.b.constant("bias", array, quant=Quant(2.0**-10, 0))

    def finish(
        self,
        op: str,
        inputs: list[str],
        attributes: Mapping[str, Any] | None = None,
        *,
        size: float = 8.0,
        contract: Contract | None = ORT,
        quant: Quant | None = None,
    ) -> Graph:
        quant = quant or self.quant(self.y, size)
        y = self.b.node(op, inputs, name="y", attributes=attributes, contract=contract,
                        dtype=self.y, quant=quant)  # fmt: skip
        return self.b.graph([y])

    def table(self, op: str, attributes: Mapping[str, Any] | None = None) -> Graph:
        x = self.input("N", 40)
        mine, theirs = self.b.values[x].quant, self.quant(self.y, 0.2 if op == "Sigmoid" else 1.0)
        assert mine is not None, "input"
        both = [
            QParams(np.float32(q.scale), np.int32(q.zero_point), None, dtype)
            for q, dtype in ((mine, self.x), (theirs, self.y))
        ]
        made = unary_table(op, dict(attributes or {}), both[0], both[1], ORT)
        table = self.b.constant("table", made)
        return self.finish(op, [x, table], attributes, quant=theirs)


def _conv(s: Small, weight: str = "int8") -> Graph:
    w = s.weight("w", weight, 6, 2, 3, 3)
    given = {"pads": (1, 1, 1, 1), "strides": (2, 1), "group": 2, "clamp_max": 90}
    return s.finish("Conv", [s.input("N", 4, 6, 6), w, s.bias(6)], given)


def _conv_1d(s: Small) -> Graph:
    return s.finish("Conv", [s.input("N", 4, 9), s.weight("w", "int8", 6, 4, 3)], {"pads": (2, 0)})


def _gemm(s: Small) -> Graph:
    w = s.weight("w", "int8", 5, 6)
    return s.finish("Gemm", [s.input("N", 6), w, s.bias(5)], {"transB": 1, "clamp_min": 3})


def _matmul(s: Small, weight: str = "int8") -> Graph:
    return s.finish("MatMul", [s.input("N", 3, 6), s.weight("w", weight, 6, 5, axis=1)])


def _gemm_uint8(s: Small) -> Graph:
    return s.finish("Gemm", [s.input("N", 6), s.weight("w", "uint8", 6, 5, axis=1)])


def _matmul_bias(s: Small) -> Graph:
    w = s.weight("w", "int8", 6, 5, axis=1)
    return s.finish("MatMul", [s.input("N", 3, 6), w, s.bias(5)])


def _matmul_bias_2d(s: Small) -> Graph:
    return s.finish("MatMul", [s.input("N", 6), s.weight("w", "int4", 6, 5, axis=None), s.bias(5)])


def _matmul_two(s: Small) -> Graph:
    return s.finish("MatMul", [s.input("N", 3, 6), s.input("N", 6, 4, name="x2")])


def _two(op: str, contract: Contract) -> Callable[[Small], Graph]:
    def make(s: Small) -> Graph:
        size = 1.0 if op == "Add" else 4.0
        inputs = [s.input("N", 4, 60), s.input("N", 1, 60, name="x2")]
        return s.finish(op, inputs, size=size, contract=contract)

    return make


def _average(counted: int) -> Callable[[Small], Graph]:
    def make(s: Small) -> Graph:
        given = {
            "kernel_shape": (3, 2), "strides": (2, 1), "pads": (1, 0, 1, 1),
            "count_include_pad": counted, "clamp_min": 20,
        }  # fmt: skip
        return s.finish("AveragePool", [s.input("N", 4, 6, 6)], given, size=1.0)

    return make


def _same(
    op: str, attributes: Mapping[str, Any] | None, *shape: int | str, contract: Contract | None
) -> Callable[[Small], Graph]:
    def make(s: Small) -> Graph:
        s.y = s.x
        x = s.input(*shape)
        inputs = [x, x] if op == "Concat" else [x]
        quant = s.b.values[x].quant
        return s.finish(op, inputs, attributes, contract=contract, quant=quant)

    return make


OPERATORS: Mapping[str, Callable[[Small], Graph]] = {
    "conv": _conv,
    "conv_uint8_weight": lambda s: _conv(s, "uint8"),
    "conv_1d": _conv_1d,
    "gemm": _gemm,
    "gemm_uint8_weight": _gemm_uint8,
    "matmul": _matmul,
    "matmul_uint8_weight": lambda s: _matmul(s, "uint8"),
    "matmul_bias_3d": _matmul_bias,
    "matmul_bias_2d_int4": _matmul_bias_2d,
    "matmul_two": _matmul_two,
    "add": _two("Add", ORT),
    "add_ratios": _two("Add", ELEMENTWISE),
    "mul": _two("Mul", ORT),
    "mul_late": _two("Mul", ELEMENTWISE),
    "average": _average(0),
    "average_counted": _average(1),
    "global_average": lambda s: s.finish("GlobalAveragePool", [s.input("N", 4, 6, 6)], size=0.5),
    "sigmoid": lambda s: s.table("Sigmoid"),
    "leaky": lambda s: s.table("LeakyRelu", {"alpha": 0.1}),
    "tanh": lambda s: s.table("Tanh"),
    "requantize": lambda s: s.table("Requantize"),
    "relu": _same("Relu", None, "N", 40, contract=ORT),
    "clip": _same("Clip", {"clamp_min": 5, "clamp_max": 60}, "N", 40, contract=ORT),
    "max_pool": _same("MaxPool", {"kernel_shape": (2, 3), "pads": (1, 1, 0, 1)}, "N", 4, 6, 6,
                      contract=None),
    "global_max": _same("GlobalMaxPool", None, "N", 4, 6, 6, contract=None),
    "reshape": _same("Reshape", {"shape": (0, 8, -1)}, "N", 4, 6, contract=None),
    "flatten": _same("Flatten", None, "N", 4, 6, contract=None),
    "transpose": _same("Transpose", {"perm": (0, 2, 1)}, "N", 4, 6, contract=None),
    "concat": _same("Concat", {"axis": 1}, "N", 4, 6, contract=None),
    "pad": _same("Pad", {"pads": (0, 1, 0, 0, 2, 0)}, "N", 4, 6, contract=None),
    "slice": _same("Slice", {"starts": (1,), "ends": (3,), "axes": (1,)}, "N", 4, 6,
                   contract=None),
    "unsqueeze": _same("Unsqueeze", {"axes": (1,)}, "N", 6, contract=None),
    "squeeze": _same("Squeeze", {"axes": (1,)}, "N", 1, 6, contract=None),
    "identity": _same("Identity", None, "N", 6, contract=None),
    "softmax": lambda s: s.finish("Softmax", [s.input("N", 9)], size=0.2),
}  # fmt: skip


def feeds_of(graph: Graph, rng: np.random.Generator, count: int = 16) -> dict[str, Array]:
    """Codes for the inputs."""
    return {
        name: codes(rng, graph.values[name].dtype,
                    *(count if isinstance(n, str) else n for n in graph.values[name].shape))
        for name in graph.inputs
    }  # fmt: skip


def kinds() -> Iterator[tuple[str, str]]:
    """Types of input and output."""
    for x in ("uint8", "int8"):
        for y in ("uint8", "int8"):
            yield x, y
