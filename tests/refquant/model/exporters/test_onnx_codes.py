"""What codes mean in ONNX: onnxruntime's reals are ours, whatever the granularity or format."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.exporters.onnx_codes import stored_dtype
from refquant.model.exporters.onnx_export import draft_onnx, onnx_bytes
from refquant.model.graph import DTYPES, Graph, Quant
from refquant.numerics.minifloat import decode
from refquant.numerics.minifloat_formats import FLOAT_FORMATS
from tests.refquant.model.exporters.onnx_runs import LEVELS, codes, session

ORT = preset("ort")


def _matrix(
    dtype: str, shape: tuple[int, int], block: tuple[int, int] | None, *, zeros: bool = False
) -> Graph:
    """A product by a matrix of codes."""
    rng = np.random.default_rng(DTYPES[dtype].bits)
    b = Builder("g")
    quant = Quant(0.375, 0)
    if block is not None:
        grid = tuple(-(-n // k) for n, k in zip(shape, block, strict=True))
        scale = b.constant("w/s", np.exp2(rng.uniform(-9, 3, grid)).astype(np.float32))
        zero: int | str = 0
        if zeros:
            zero = b.constant("w/z", codes(rng, dtype, *grid).astype(np.int32))
        quant = Quant(scale, zero, block)
    w = b.constant("w", codes(rng, dtype, *shape), dtype=dtype, quant=quant)
    return b.graph([b.node("MatMul", [b.input("e", ("N", shape[0])), w], name="y", contract=ORT)])


def _check(graph: Graph, form: str = "qdq") -> None:
    """Rows of the identity take the weight out, exactly: every sum has one term."""
    k = int(graph.values["e"].shape[1])
    feeds = {"e": np.eye(k, dtype=np.float32)}
    want = run(graph, feeds)["y"]
    made = session(onnx_bytes(graph, form=form), level=LEVELS[0])
    (got,) = made.run(["y"], feeds)
    assert np.array_equal(got, want), f"{np.abs(got - want).max()}"


GRANULARITIES = {
    "tensor": None,
    "channel": (64, 1),
    "row": (1, 5),
    "group of 32": (32, 1),
    "group of 16 along the other axis": (1, 4),
    "ragged group": (48, 1),
    "each": (1, 1),
}


@pytest.mark.parametrize("zeros", [False, True], ids=["symmetric", "zero points"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int4", "uint4", "int3", "uint5", "uint2"])
@pytest.mark.parametrize("name", GRANULARITIES)
def test_reals_are_ours(name: str, dtype: str, zeros: bool) -> None:
    block = GRANULARITIES[name]
    _check(_matrix(dtype, (64, 5), block, zeros=zeros))


def test_odd_numbers_of_nibbles_fill_a_byte() -> None:
    _check(_matrix("int4", (3, 3), (3, 1)))


@pytest.mark.parametrize("dtype", ["uint4", "int4", "uint8", "int8", "uint2"])
@pytest.mark.parametrize("zeros", [False, True], ids=["symmetric", "zero points"])
def test_groups_are_a_packed_operator_in_the_other_form(dtype: str, zeros: bool) -> None:
    graph = _matrix(dtype, (64, 5), (32, 1), zeros=zeros)
    assert draft_onnx(graph, form="qoperator").nodes[0].op == "MatMulNBits", dtype
    _check(graph, "qoperator")


@pytest.mark.parametrize(("word", "dtype"), [("e4m3fn", "float8e4m3fn"), ("e5m2", "float8e5m2")])
def test_fp8_is_a_type_of_onnx(word: str, dtype: str) -> None:
    b = Builder("g")
    table = decode(np.arange(256, dtype=np.uint8), FLOAT_FORMATS[word])
    table = np.where(np.isinf(table), np.float32(np.nan), table)  # a file has no infinities
    finite = np.flatnonzero(np.isfinite(table)).astype(np.uint8)[:240].reshape(60, 4)
    marks = b.constant("marks", table)
    w = b.constant("w", finite, quant=Quant(0.375, 0, table=marks))
    graph = b.graph([b.node("MatMul", [b.input("e", ("N", 60)), w], name="y", contract=ORT)])
    assert draft_onnx(graph, form="qdq").constants["w"].dtype == dtype, "not its codes"
    _check(graph)


def test_fp4_with_scales_of_codes_becomes_fp4_with_their_reals() -> None:
    """onnxruntime 1.32 has no kernel for FP4 on the CPU: the constants are looked at."""
    b = Builder("g")
    marks = b.constant("marks", decode(np.arange(16, dtype=np.uint8), FLOAT_FORMATS["e2m1"]))
    powers = b.constant("powers", decode(np.arange(256, dtype=np.uint8), FLOAT_FORMATS["e8m0"]))
    b.constant("w/s", np.array([[127, 130]], np.uint8), quant=Quant(1.0, 0, table=powers))
    w = b.constant("w", np.arange(64, dtype=np.uint8).reshape(32, 2) % 16, dtype="uint4",
                   quant=Quant("w/s", 0, (32, 1), table=marks))  # fmt: skip
    graph = b.graph([b.node("MatMul", [b.input("e", ("N", 32)), w], name="y", contract=ORT)])
    draft = draft_onnx(graph, form="qdq")
    assert (draft.constants["w"].dtype, draft.opset) == ("float4e2m1", 23), "FP4"
    assert draft.constants["w/scale"].array.tolist() == [1.0, 8.0], "2^(127-127), 2^(130-127)"
    assert onnx_bytes(graph), "the checker takes it"


def test_what_onnx_has_not_is_said() -> None:
    b = Builder("g")
    b.constant("w/s", np.ones((2, 1), np.float32))
    b.constant("w/z", np.full((2, 1), 0.5, np.float32))
    w = b.constant("w", np.zeros((4, 2), np.uint8), quant=Quant("w/s", "w/z", (2, 2)))
    graph = b.graph([b.node("MatMul", [b.input("e", ("N", 4)), w], name="y", contract=ORT)])
    with pytest.raises(ValueError, match="float zero points"):
        onnx_bytes(graph)
    wide = _matrix("int8", (64, 5), (2, 3))
    with pytest.raises(ValueError, match=r"'w' has blocks \[2, 3\]; those of ONNX have one axis"):
        onnx_bytes(wide)


def test_codes_of_odd_widths_are_in_the_next_wider_type() -> None:
    words = [stored_dtype(d) for d in ("int2", "uint3", "int5", "uint6", "int7", "uint16")]
    assert words == ["int2", "uint4", "int8", "uint8", "int8", "uint16"], f"{words}"
