"""Inferred shapes are the shapes that come out; what mixes samples has none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.model.execute_node import execute_node
from refquant.model.graph import Attribute, Graph, Node, Shape, Value
from refquant.model.shapes import check_size, infer_shapes

SAMPLES = 3
small = st.integers(0, 4)
ints = st.lists(st.integers(-1, 4), max_size=5).map(tuple)
shapes = st.lists(small, max_size=4).map(tuple)
batched = st.lists(small, max_size=3).map(lambda rest: ("N", *rest))


def executed(op: str, sizes: list[Shape], attributes: dict[str, Attribute]) -> list[Shape]:
    """Return the shapes that the operator gives, with SAMPLES in the batch."""
    arrays = [np.ones([SAMPLES if d == "N" else int(d) for d in s], np.float32) for s in sizes]
    names = tuple(f"x{i}" for i in range(len(sizes)))
    values = {n: Value("float32", s) for n, s in (*zip(names, sizes, strict=True), ("y", ()))}
    graph = Graph("g", names, ("y",), values, (), {}, {}, {})
    node = Node("n", op, names, ("y",), attributes)
    return [array.shape for array in execute_node(graph, node, arrays)]


def agree(op: str, sizes: list[Shape], attributes: dict[str, Attribute]) -> None:
    """Check that inference and execution give the same shape, or both refuse."""
    try:
        inferred = infer_shapes(op, sizes, attributes)
    except ValueError:
        # Inference may refuse more: a batch in the wrong place, and what is empty.
        if not any(d in ("N", 0) for s in sizes for d in s):
            with pytest.raises(ValueError):  # noqa: PT011  the operator's own words
                executed(op, sizes, attributes)
        return
    real = [tuple(SAMPLES if d == "N" else d for d in s) for s in inferred]
    assert executed(op, sizes, attributes) == real, f"{op} {sizes} {attributes}"


@given(st.sampled_from(["Add", "Sub", "Mul", "Div"]), shapes | batched, shapes | batched)
def test_elementwise(op: str, a: Shape, b: Shape) -> None:
    agree(op, [a, b], {})


@given(shapes | batched, shapes | batched)
def test_matmul(a: Shape, b: Shape) -> None:
    agree("MatMul", [a, b], {})


@given(small, small, small, st.sampled_from([0, 1]), st.booleans(), st.booleans())
def test_matmul_and_gemm_that_fit(m: int, k: int, n: int, t: int, bias: bool, one: bool) -> None:
    x: Shape = ("N", k) if one else (m, k)
    agree("MatMul", [x, (k, n)], {})
    agree("Gemm", [x, (n, k) if t else (k, n), *[(n,)] * bias], {"transB": t})


window = st.fixed_dictionaries(
    {},
    optional={
        "strides": st.lists(st.integers(0, 3), min_size=1, max_size=2).map(tuple),
        "pads": st.lists(st.integers(-1, 2), min_size=2, max_size=4).map(tuple),
    },
)


@given(st.data())
def test_windows(data: st.DataObject) -> None:
    rank = data.draw(st.sampled_from([1, 2]))
    spatial = data.draw(st.lists(st.integers(1, 6), min_size=rank, max_size=rank))
    kernel = data.draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    group, per, out = (data.draw(st.integers(1, 2)) for _ in range(3))
    first: int | str = "N" if data.draw(st.booleans()) else 2
    attributes: dict[str, Attribute] = dict(data.draw(window))
    x: Shape = (first, group * per, *spatial)
    agree("Conv", [x, (group * out, per, *kernel)], {**attributes, "group": group})
    dilations = data.draw(st.lists(st.integers(1, 2), min_size=rank, max_size=rank).map(tuple))
    agree("Conv", [x, (out, group * per, *kernel)], {**attributes, "dilations": dilations})
    for op in ("MaxPool", "AveragePool"):
        agree(op, [x], {**attributes, "kernel_shape": tuple(kernel)})
    for op in ("GlobalMaxPool", "GlobalAveragePool"):
        agree(op, [x], {})


@given(shapes | batched, ints)
def test_layout(x: Shape, numbers: tuple[int, ...]) -> None:
    agree("Reshape", [x], {"shape": numbers})
    agree("Transpose", [x], {"perm": numbers})
    agree("Transpose", [x], {})
    agree("Pad", [x], {"pads": numbers})
    agree("Flatten", [x], {})
    agree("Identity", [x], {})


@given(shapes | batched, st.integers(-5, 5), small)
def test_axes(x: Shape, axis: int, size: int) -> None:
    agree("Softmax", [x], {"axis": axis})
    agree("Concat", [x, x], {"axis": axis})
    if x and -len(x) <= axis < len(x):
        other = list(x)
        other[axis] = size
        agree("Concat", [x, tuple(other), x], {"axis": axis})


@pytest.mark.parametrize(
    ("op", "sizes", "attributes", "message"),
    [
        ("Softmax", [("N", 3)], {"axis": 0}, "mixes samples"),
        ("Concat", [("N", 3), ("N", 3)], {"axis": 0}, "mixes samples"),
        ("Transpose", [("N", 3)], {"perm": (1, 0)}, "moves the batch"),
        ("Reshape", [("N", 4)], {"shape": (-1, 4)}, "begins with 0"),
        ("Reshape", [("N", 4)], {"shape": (2, 2)}, "begins with 0"),
        ("Pad", [("N", 3)], {"pads": (1, 0, 0, 0)}, "batch N cannot be padded"),
        ("Add", [("N", 3), (2, 3)], {}, "do not broadcast"),
        ("Add", [("N", 3), (5, 1, 3)], {}, "moves the batch"),
        ("Add", [("N",), ("N", 3)], {}, "do not broadcast"),
        ("Add", [("N",), ("N", 1)], {}, "moves the batch"),
        ("MatMul", [("N", 3), ("N", 3, 2)], {}, "moves the batch"),
        ("MatMul", [(2, 3), ("N", 3)], {}, r"\(..., K, N\)"),
        ("Gemm", [("N", 3), ("N", 3)], {"transB": 1}, "mixes samples"),
        ("Conv", [("N", 3, 4), ("N", 3, 1)], {}, "mixes samples"),
        ("Conv", [("N", 2, 4), (2, 2, 1), (3,)], {}, r"bias has shape \[2\]"),
        ("Conv", [("N", 2, 4), (2, 2, 1)], {"kernel_shape": (2,)}, "kernel_shape"),
        ("Conv", [("N", 3, 4), (2, 3, 1)], {"group": 0}, "group divides"),
        ("Conv", [("N", 3, 4), (2, 1, 1)], {}, r"C/group = 3"),
        ("Gemm", [("N", 3), (3, 2), (3,)], {}, r"bias has shape \[2\]"),
        ("MatMul", [("N", 3), (3, 2), (3,)], {}, r"bias has shape \[2\]"),
        ("MaxPool", [("N", 2, 4)], {"kernel_shape": (2,), "dilations": (2,)}, "dilations are 1"),
        ("MaxPool", [("N", 2, 4)], {"kernel_shape": (1,), "pads": (1, 0)}, "pads are less"),
        ("Relu", [("N", 4), (255,)], {}, r"table .* \[256\]"),
        ("BatchNormalization", [("N", 4), (4,), (4,), (4,), (3,)], {}, "variance has shape"),
        (
            "BatchNormalization",
            [("N", 4), (4,), (4,), (4,), (4,)],
            {"epsilon": -1.0},
            "epsilon is >= 0",
        ),
        ("Add", [(2**16, 1), (1, 2**16)], {}, r"2\^31"),
        ("Reshape", [(1, 1)], {"shape": (1,) * 7}, "at most 6 axes"),
        ("Reshape", [(4,)], {"shape": (-1, -1)}, "at most one -1"),
        ("Reshape", [(4, 0)], {"shape": (-1, 0)}, "has no size"),
        ("Reshape", [(4,)], {"shape": (3,)}, "different numbers"),
    ],
)
def test_what_has_no_result_is_named(
    op: str, sizes: list[Shape], attributes: dict[str, Attribute], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        infer_shapes(op, sizes, attributes)


def test_dynamic_operators_take_the_shapes_of_their_products() -> None:
    assert infer_shapes("DynamicQuantizeLinear", [("N", 4)], {}) == (("N", 4), (), ())
    for op, rest in (("MatMulInteger", [None, ()]), ("MatMulIntegerToFloat", [(), (), (5,)])):
        assert infer_shapes(op, [("N", 4), (4, 5), *rest], {}) == (("N", 5),), op
    for op, more in (("ConvInteger", [()]), ("ConvIntegerToFloat", [(), (), None])):
        assert infer_shapes(op, [("N", 2, 4), (5, 2, 3), *more], {}) == (("N", 5, 2),), op
    with pytest.raises(ValueError, match="bias"):
        infer_shapes("MatMulIntegerToFloat", [("N", 4), (4, 5), (), (), (4,)], {})


def test_sizes_have_limits() -> None:
    check_size("x", ("N", 2**31 - 1))
    check_size("x", (0, 2**62))
    for shape in ((2**31,), (2**16, 2**15), (1,) * 7):
        with pytest.raises(ValueError, match="x: a shape has"):
            check_size("x", shape)


ATTENTION: dict[str, Attribute] = {"q_num_heads": 4, "kv_num_heads": 2}
GRU: dict[str, Attribute] = {"hidden_size": 5, "layout": 1}


@pytest.mark.parametrize(
    ("op", "sizes", "attributes", "expected"),
    [
        ("Gather", [(7, 4, 2), ("N", "T")], {}, ("N", "T", 4, 2)),
        ("Cast", [("N", "T")], {"to": 1}, ("N", "T")),
        ("LayerNormalization", [("N", "T", 4), (4,), (4,)], {}, ("N", "T", 4)),
        ("RMSNormalization", [("N", 4), (4,)], {"axis": 1}, ("N", 4)),
        ("Attention", [("N", "T", 8), ("N", 9, 4), ("N", 9, 6)], ATTENTION, ("N", "T", 12)),
        ("Attention", [("N", 4, "T", 2), ("N", 2, "T", 2), ("N", 2, "T", 3)], {}, ("N", 4, "T", 3)),
        (
            "RotaryEmbedding",
            [("N", "T", 8), (9, 2), (9, 2), ("N", "T")],
            {"num_heads": 2},
            ("N", "T", 8),
        ),
        ("ReduceSum", [("N", "T", 4)], {"axes": (1,)}, ("N", 1, 4)),
        ("ReduceMean", [("N", "T", 4)], {"axes": (-1, 1), "keepdims": 0}, ("N",)),
        ("Slice", [("N", "T", 9)], {"starts": (-3,), "ends": (99,), "axes": (2,)}, ("N", "T", 3)),
        ("Squeeze", [("N", 1, "T", 1)], {"axes": (1, -1)}, ("N", "T")),
        ("Unsqueeze", [("N", "T")], {"axes": (1, -1)}, ("N", 1, "T", 1)),
        ("Reshape", [("N", "T", 8)], {"shape": (0, 0, 4, -1)}, ("N", "T", 4, 2)),
        ("Transpose", [("N", "T", 8)], {"perm": (0, 2, 1)}, ("N", 8, "T")),
        ("Add", [("N", "T", 8), (8,)], {}, ("N", "T", 8)),
        ("MatMul", [("N", "T", "T"), ("N", "T", 8)], {}, ("N", "T", 8)),
        ("Softmax", [("N", "T")], {"axis": 1}, ("N", "T")),
    ],
)
def test_shapes_of_sequences(
    op: str, sizes: list[Shape], attributes: dict[str, Attribute], expected: Shape
) -> None:
    assert infer_shapes(op, sizes, attributes) == (expected,), op


def test_shapes_of_recurrent_layers() -> None:
    x, w, r = ("N", "T", 3), (1, 15, 3), (1, 15, 5)
    y, state = ("N", "T", 1, 5), ("N", 1, 5)
    assert infer_shapes("GRU", [x, w, r], GRU) == (y, state), "the least"
    assert infer_shapes("GRU", [x, w, r, (1, 30), None, state], GRU) == (y, state), "the most"
    both: dict[str, Attribute] = {**GRU, "direction": "bidirectional"}
    assert infer_shapes("GRU", [x, (2, 15, 3), (2, 15, 5)], both)[0] == ("N", "T", 2, 5), "two"
    w, r = (1, 20, 3), (1, 20, 5)
    given = [x, w, r, None, None, None, state]
    assert infer_shapes("LSTM", given, GRU) == (y, state, state), "a state more"


@pytest.mark.parametrize(
    ("op", "sizes", "attributes", "message"),
    [
        ("Gather", [(0, 4), ("N", "T")], {}, "the table has at least one row"),
        ("Gather", [("N", 4), ("N", "T")], {}, "batch N"),
        ("LayerNormalization", [("N", 4), (4,)], {"axis": 0}, "axis is the last one"),
        ("LayerNormalization", [("N", 4), (4,), (3,)], {}, r"bias has shape \[4\]"),
        ("LayerNormalization", [("N", "T"), (4,)], {}, "needs a number"),
        ("RMSNormalization", [("N", 0), (0,)], {}, "empty"),
        ("RMSNormalization", [("N", 4), (4,)], {"epsilon": -1}, "epsilon is >= 0"),
        ("Attention", [("N", "T", 8), ("N", 9, 4), ("N", 9, 6)], {}, "q is .* an attribute"),
        ("Attention", [("N", "T", 8), ("N", 9, 6), ("N", 9, 6)], ATTENTION, "q, k, v are"),
        ("Attention", [("N", "T", 8), ("N", 9, 4), ("N", 8, 4)], ATTENTION, "q, k, v are"),
        ("Attention", [("N", 4, 2), ("N", 9, 4), ("N", 9, 4)], ATTENTION, "q is"),
        ("Attention", [("N", 3, "T", 2), ("N", 2, "T", 2), ("N", 2, "T", 2)], {}, "no multiple"),
        ("Attention", [("N", 1, 8), ("N", 9, 4), ("N", 9, 4), (9, 1)], ATTENTION, "mask|broadcast"),
        ("Attention", [("N", 4, 8)] * 2 + [("N", 4, 2, 4)], ATTENTION, "as many axes"),
        (
            "RotaryEmbedding",
            [("N", "T", 8), (9, 2), (9, 2), ("N", 3)],
            {"num_heads": 2},
            "positions",
        ),
        ("RotaryEmbedding", [("N", "T", 8), (9, 3), (9, 3), ("N", "T")], {"num_heads": 2}, "cos"),
        ("RotaryEmbedding", [("N", "T", 6), (9, 1), (9, 1), ("N", "T")], {"num_heads": 2}, "even"),
        ("GRU", [("N", "T", 3), (1, 15, 4), (1, 15, 5)], GRU, r"w has shape \[1, 15, 3\]"),
        ("GRU", [("N", "T", 3), (1, 15, 3), (1, 15, 4)], GRU, r"r has shape \[1, 15, 5\]"),
        ("GRU", [("N", 3), (1, 15, 3), (1, 15, 5)], GRU, r"x is \(N, T, I\)"),
        ("GRU", [("N", "T", 3), (1, 15, 3), (1, 15, 5), (1, 15)], GRU, "the bias"),
        ("GRU", [("N", 2, 3), (1, 15, 3), (1, 15, 5), None, ("N",)], GRU, "lengths of sequences"),
        ("GRU", [("N", 2, 3), (1, 15, 3), (1, 15, 5), None, None, ("N", 5)], GRU, "initial state"),
        ("ReduceSum", [("N", 4)], {"axes": (0,)}, "batch N"),
        ("ReduceSum", [("N", 4)], {"axes": ()}, "axes are different, at least one"),
        ("ReduceSum", [("N", 4)], {"axes": (1, -1)}, "axes are different"),
        ("ReduceMean", [("N", 0)], {"axes": (1,)}, "mean of nothing"),
        ("ReduceSum", [("N", 2**24)], {"axes": (1,)}, r"counts to 2\^24"),
        ("Slice", [("N", "T")], {"starts": (0,), "ends": (1,), "axes": (1,)}, "needs a number"),
        ("Slice", [("N", 4)], {"starts": (0,), "ends": (1,), "axes": (0,)}, "batch N"),
        ("Slice", [("N", 4)], {"starts": (0, 1), "ends": (1,), "axes": (1,)}, "as many"),
        ("Squeeze", [("N", "T")], {"axes": (1,)}, "axes have length 1"),
        ("Squeeze", [("N", 1)], {"axes": (0,)}, "axes have length 1"),
        ("Unsqueeze", [("N", 1)], {"axes": (0,)}, "moves the batch"),
        ("Unsqueeze", [("N", 1)], {"axes": (1, 1)}, "axes are different"),
        ("Unsqueeze", [("N", 1)], {"axes": tuple(range(1, 9))}, "at most 6 axes"),
        ("Reshape", [("N", "T", 4)], {"shape": (0, -1)}, "T is copied"),
        ("Reshape", [("N", 4)], {"shape": (0, 2)}, "different numbers"),
        ("Flatten", [("N", "T", 4)], {}, "needs a number"),
        ("Concat", [("N", "T"), ("N", "T")], {"axis": 1}, "needs a number"),
        ("Pad", [("N", "T")], {"pads": (0, 0, 0, 1)}, "the length T cannot be padded"),
        ("Conv", [("N", 3, "T"), (5, 3, 3)], {}, "needs a number"),
        ("Conv", [("N", "T", 9), (5, 3, 3)], {}, "needs a number"),
        ("GlobalMaxPool", [("N", 3, "T")], {}, "needs a number"),
        ("MatMul", [("N", 4, "T"), ("N", 5, 6)], {}, "the operands are"),
        ("Add", [("N", "T"), ("N", 4)], {}, "do not broadcast"),
    ],
)
def test_what_has_no_result_among_sequences_is_named(
    op: str, sizes: list[Shape | None], attributes: dict[str, Attribute], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        infer_shapes(op, sizes, attributes)
