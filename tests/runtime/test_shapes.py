"""Shapes of operators, against the inference of the reference: the same ones, the same refusals."""

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from refquant.model.graph import Node
from refquant.model.operators import OPERATORS as REFERENCE
from refquant.model.operators import REFERENCE_ONLY, check_signature
from refquant.model.shapes import infer_shapes
from refquant_runtime.rules import BeyondError, check_attributes
from refquant_runtime.shapes import OPERATORS, Window, window

Shape = tuple[int, ...]
SHAPES = st.lists(st.sampled_from([0, 1, 1, 2, 2, 3, 4, 6, 256]), max_size=5).map(tuple)
PAIRS = st.lists(st.integers(0, 3), min_size=1, max_size=4)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "kernel_shape": PAIRS, "strides": PAIRS, "dilations": PAIRS, "pads": PAIRS,
    "group": st.integers(0, 3), "axis": st.integers(-4, 4), "perm": st.permutations([0, 1, 2]),
    "shape": st.lists(st.sampled_from([-1, 0, 1, 2, 3, 6]), max_size=4),
    "transB": st.integers(0, 2), "count_include_pad": st.integers(0, 2),
    "axes": st.lists(st.integers(-4, 4), max_size=3), "keepdims": st.integers(0, 2),
    "starts": PAIRS, "ends": st.lists(st.integers(-4, 9), min_size=1, max_size=3),
    "output_padding": PAIRS, "k": st.integers(0, 4), "to": st.sampled_from([1, 2, 6, 9]),
    "hidden_size": st.integers(0, 3), "layout": st.integers(0, 1),
    "direction": st.sampled_from(["forward", "reverse", "bidirectional", "back"]),
    **dict.fromkeys(("q_num_heads", "kv_num_heads", "num_heads"), st.integers(0, 3)),
    "rotary_embedding_dim": st.integers(-2, 6), "epsilon": st.sampled_from([-1.0, 0, 1e-5]),
}  # fmt: skip


def ours(op: str, shapes: list[Shape], attributes: dict[str, Any]) -> list[Shape] | str:
    operator = OPERATORS[op]
    try:
        assert operator.required <= len(shapes) <= operator.most or not shapes, "drawn to fit"
        check_attributes(attributes, operator.attributes)
        return operator.shapes(shapes, attributes)
    except BeyondError:
        return "beyond"
    except ValueError:
        return "refused"


def theirs(op: str, shapes: list[Shape], attributes: dict[str, Any]) -> list[Any] | str:
    frozen = {k: tuple(v) if isinstance(v, list) else v for k, v in attributes.items()}
    outputs = tuple(f"y{i}" for i in range(REFERENCE[op].outputs))
    try:
        check_signature(Node("n", op, tuple("abcde"[: len(shapes)]), outputs, frozen))
        return list(infer_shapes(op, shapes, frozen))
    except ValueError:
        return "refused"


@given(st.data())
def test_shapes_are_those_of_the_reference(data: st.DataObject) -> None:
    op = data.draw(st.sampled_from(sorted(OPERATORS)))
    operator = OPERATORS[op]
    count = data.draw(
        st.integers(operator.required, min(operator.most, 3 + operator.required // 2))
    )
    shapes = data.draw(st.lists(SHAPES, min_size=count, max_size=count))
    assume(all(math.prod(shape) < 2**31 for shape in shapes))  # larger ones are no values
    keys = sorted(operator.attributes.keys() & VALUES.keys())
    chosen = data.draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    attributes = {key: data.draw(VALUES[key]) for key in chosen}
    actual = ours(op, shapes, attributes)
    if actual != "beyond":
        assert actual == theirs(op, shapes, attributes), f"{op} of {shapes} with {attributes}"


FITTING: list[tuple[str, list[Shape], dict[str, Any], Shape]] = [
    ("Conv", [(1, 4, 9, 7), (6, 2, 3, 2), (6,)],
     {"group": 2, "strides": [2, 1], "pads": [1, 0, 0, 1], "dilations": [1, 2]}, (1, 6, 4, 6)),
    ("Conv", [(1, 4, 9), (6, 4, 3)], {"kernel_shape": [3], "strides": [3]}, (1, 6, 3)),
    ("Gemm", [(2, 3), (4, 3), (4,)], {"transB": 1}, (2, 4)),
    ("MatMul", [(5, 1, 2, 3), (7, 3, 4)], {}, (5, 7, 2, 4)),
    ("Add", [(4, 1, 3), (2, 1)], {}, (4, 2, 3)),
    ("AveragePool", [(1, 2, 5, 5)], {"kernel_shape": [3, 3], "pads": [2] * 4}, (1, 2, 7, 7)),
    ("GlobalMaxPool", [(3, 2, 5)], {}, (3, 2, 1)),
    ("MatMulIntegerToFloat", [(2, 3), (3, 4), (), ()], {}, (2, 4)),
    ("Softmax", [(2, 3)], {"axis": 0}, (2, 3)),
    ("Softmax", [(2, 3), (256,)], {"axis": 1}, (2, 3)),
    ("ReduceMean", [(2, 3, 4)], {"axes": [-1, 1]}, (2, 1, 1)),
    ("ReduceMean", [(2, 3, 4)], {"axes": [1], "keepdims": 0}, (2, 4)),
    ("Attention", [(1, 3, 8), (1, 5, 4), (1, 5, 6), (3, 1)],
     {"q_num_heads": 4, "kv_num_heads": 2}, (1, 3, 12)),
    ("ConvTranspose", [(1, 2, 4), (2, 3, 3), (3,)],
     {"strides": [2], "pads": [1, 0], "output_padding": [1]}, (1, 3, 9)),
    ("Gather", [(5, 4, 3), (2, 6)], {"axis": -2}, (5, 2, 6, 3)),
    ("RotaryEmbedding", [(2, 3, 8), (9, 1), (9, 1), (2, 3)],
     {"num_heads": 2, "rotary_embedding_dim": 2}, (2, 3, 8)),
    ("Slice", [(4, 5)], {"axes": [-1], "starts": [-2], "ends": [9]}, (4, 2)),
    ("Squeeze", [(1, 2, 1)], {"axes": [0, -1]}, (2,)),
    ("Unsqueeze", [(2, 3)], {"axes": [0, -1]}, (1, 2, 3, 1)),
    ("Where", [(2, 1), (3,), (1, 1, 1)], {}, (1, 2, 3)),
    ("Relu", [(2, 3), (256,)], {}, (2, 3)),
    ("Reshape", [(2, 3, 4)], {"shape": [0, -1, 2]}, (2, 6, 2)),
]  # fmt: skip


@pytest.mark.parametrize("case", FITTING, ids=lambda case: case[0])
def test_shapes_that_fit(case: tuple[str, list[Shape], dict[str, Any], Shape]) -> None:
    op, shapes, attributes, expected = case
    assert ours(op, shapes, attributes) == [expected] == theirs(op, shapes, attributes), op


def test_the_operators_and_their_attributes_are_those_of_the_reference() -> None:
    assert set(OPERATORS) == set(REFERENCE) - REFERENCE_ONLY, "all but the reference's own"
    clamps = {"clamp_min", "clamp_max"}
    for op, operator in OPERATORS.items():
        other = REFERENCE[op]
        assert (operator.required, operator.most) == (other.least, other.most), op
        expected = set(other.attributes) | (clamps if other.fused else set())
        assert set(operator.attributes) == expected, op


def test_a_line_is_a_window_of_height_one() -> None:
    line = window((2, 3, 10), (4,), {"strides": [2], "pads": [1, 2], "dilations": [1]})
    plane = Window((1, 4), (1, 2), (0, 1, 0, 2), (1, 1), (1, 10), (1, 5))
    assert line == plane, "so that kernels know planes only"


def test_numbers_beyond_the_kernels_are_a_limit_not_a_fault() -> None:
    assert ours("MaxPool", [(1, 1, 4)], {"kernel_shape": [2], "strides": [2**31]}) == "beyond"
    assert ours("MaxPool", [(1, 1, 4)], {"kernel_shape": [2], "strides": [2**31 - 1]}) == [
        (1, 1, 1)
    ]
