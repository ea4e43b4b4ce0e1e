"""Moves, folds, pools and pointwise operators: graphs of one or two nodes."""

from typing import Any

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.importers.tflite import tflite_graph
from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_bytes import Model

Q: dict[str, Any] = {"scale": 0.5, "zero_point": 3}
RNG = np.random.default_rng(6)


def graph(m: Model, inputs: list[int], outputs: list[int], tool: str = "xnnpack") -> Graph:
    return tflite_graph(m.data(inputs, outputs), path="m.tflite", contract=tool)


def codes(*shape: int) -> np.ndarray:
    return RNG.integers(-128, 128, shape).astype(np.int8)


def test_a_batch_that_is_computed_from_a_shape_is_folded() -> None:
    """SHAPE -> STRIDED_SLICE -> PACK -> RESHAPE, as Keras writes it."""
    m = Model()
    x = m.tensor((1, 12), "float32", name="x")
    s = m.tensor((2,), "int32")
    m.op("SHAPE", [x], [s])
    ends = [m.tensor((1,), "int32", values=[v]) for v in (0, 1, 1)]
    n = m.tensor((), "int32")
    m.op("STRIDED_SLICE", [s, *ends], [n], ShrinkAxisMask=1)
    sides = [m.tensor((), "int32", values=v) for v in (3, 4)]
    p = m.tensor((3,), "int32")
    m.op("PACK", [n, *sides], [p], ValuesCount=3)
    y = m.tensor((1, 3, 4), "float32", name="y")
    m.op("RESHAPE", [x, p], [y])
    g = graph(m, [x], [y])
    assert [node.op for node in g.nodes] == ["Reshape"], "nothing else is left"
    assert g.values["y"].shape == ("N", 3, 4), "of any batch"


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_pad_and_concatenation_in_both_orders(axis: int) -> None:
    m = Model()
    x = m.tensor((1, 4, 5, 3), name="x", **Q)
    pool = m.tensor((1, 4, 5, 3), **Q)  # now it is channels first
    m.op("MAX_POOL_2D", [x], [pool], Padding=1, StrideW=1, StrideH=1, FilterWidth=1, FilterHeight=1)
    shape = [1, 4, 5, 3]
    shape[axis] *= 2
    joined = m.tensor(shape, **Q)
    m.op("CONCATENATION", [pool, x], [joined], Axis=axis)
    rows = m.tensor((4, 2), "int32", values=[[0, 0], [1, 0], [0, 2], [3, 1]])
    y = m.tensor([1, shape[1] + 1, shape[2] + 2, shape[3] + 4], name="y", **Q)
    m.op("PAD", [joined, rows], [y])
    q = codes(2, 4, 5, 3)
    expected = np.pad(np.concatenate([q, q], axis), [(0, 0), (1, 0), (0, 2), (3, 1)],
                      constant_values=3)  # fmt: skip
    assert np.array_equal(run(graph(m, [x], [y]), {"x": q})["y"], expected), (
        "as in the file's order"
    )


def test_a_square_of_as_many_channels_is_turned_all_the_same() -> None:
    """Height, width and channels alike: a turn that looks like no turn."""
    m = Model()
    x = m.tensor((1, 3, 3, 3), name="x", **Q)
    p = m.tensor((1, 3, 3, 3), **Q)
    m.op("MAX_POOL_2D", [x], [p], Padding=0, StrideW=1, StrideH=1, FilterWidth=2, FilterHeight=1)
    y = m.tensor((1, 27), name="y", **Q)
    shape = m.tensor((2,), "int32", values=[1, 27])
    m.op("RESHAPE", [p, shape], [y])
    q = codes(2, 3, 3, 3)
    beside = np.concatenate([q[:, :, 1:], np.full((2, 3, 1, 3), -128, np.int8)], axis=2)
    got = run(graph(m, [x], [y]), {"x": q})["y"]
    assert np.array_equal(got, np.maximum(q, beside).reshape(2, 27)), "the order of the file"


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("axes", [[1, 2], [2, 1], [3], [-3, 2, 3]])
def test_means_along_any_axes(axes: list[int], keep: bool) -> None:
    m = Model()
    x = m.tensor((1, 4, 5, 3), "float32", name="x")
    p = m.tensor((1, 4, 5, 3), "float32")
    m.op("MAX_POOL_2D", [x], [p], Padding=1, StrideW=1, StrideH=1, FilterWidth=1, FilterHeight=1)
    held = m.tensor((len(axes),), "int32", values=axes)
    real = RNG.integers(-9, 9, (2, 4, 5, 3)).astype(np.float32)
    expected = real.mean(axis=tuple(axes), keepdims=keep, dtype=np.float64).astype(np.float32)
    y = m.tensor((1, *expected.shape[1:]), "float32", name="y")
    m.op("MEAN", [p, held], [y], KeepDims=keep)
    assert np.array_equal(run(graph(m, [x], [y]), {"x": real})["y"], expected), "exact sums"


def test_squeeze_expand_and_transpose() -> None:
    m = Model()
    x = m.tensor((1, 4, 1, 3), name="x", **Q)
    s = m.tensor((1, 4, 3), **Q)
    shape = m.tensor((3,), "int32", values=[1, 4, 3])
    m.op("RESHAPE", [x, shape], [s])
    perm = m.tensor((3,), "int32", values=[0, 2, 1])
    t = m.tensor((1, 3, 4), **Q)
    m.op("TRANSPOSE", [s, perm], [t])
    one = m.tensor((1,), "int32", values=[-1])
    y = m.tensor((1, 3, 4, 1), name="y", **Q)
    m.op("EXPAND_DIMS", [t, one], [y])
    q = codes(2, 4, 1, 3)
    got = run(graph(m, [x], [y]), {"x": q})["y"]
    assert np.array_equal(got, q.transpose(0, 3, 1, 2).transpose(0, 1, 2, 3)), "moved"


def test_operands_of_fewer_axes_line_up_at_the_channels() -> None:
    m = Model()
    x = m.tensor((1, 2, 2, 3), "float32", name="x")
    p = m.tensor((1, 2, 2, 3), "float32")
    m.op("MAX_POOL_2D", [x], [p], Padding=1, StrideW=1, StrideH=1, FilterWidth=1, FilterHeight=1)
    k = m.tensor((3,), "float32", values=[1, 10, 100])
    y = m.tensor((1, 2, 2, 3), "float32", name="y")
    m.op("MUL", [p, k], [y], FusedActivationFunction=3)
    real = RNG.standard_normal((2, 2, 2, 3)).astype(np.float32)
    expected = np.clip(real * np.array([1, 10, 100], np.float32), 0, 6)
    assert np.array_equal(run(graph(m, [x], [y]), {"x": real})["y"], expected), "and clipped"


@pytest.mark.parametrize("tool", ["xnnpack", "tflite_reference"])
def test_a_difference_is_the_sum_of_the_complement(tool: str) -> None:
    m = Model()
    a = m.tensor((1, 256), scale=0.5, zero_point=3, name="a")
    b = m.tensor((1, 256), scale=0.5, zero_point=-20, name="b")
    y = m.tensor((1, 256), scale=0.5, zero_point=7, name="y")
    m.op("SUB", [a, b], [y], FusedActivationFunction=0)
    feeds = {"a": codes(4, 256), "b": np.tile(np.arange(-128, 128), (4, 1)).astype(np.int8)}
    made = run(graph(m, [a, b], [y], tool), feeds)["y"]
    exact = feeds["a"].astype(int) - 3 - (feeds["b"].astype(int) + 20) + 7
    assert np.array_equal(made, exact.clip(-128, 127)), "equal scales: nothing is rounded"


def test_a_pool_clamps_behind_itself() -> None:
    m = Model()
    x = m.tensor((1, 4, 4, 2), name="x", **Q)
    y = m.tensor((1, 2, 2, 2), name="y", **Q)
    m.op("MAX_POOL_2D", [x], [y], Padding=1, StrideW=2, StrideH=2, FilterWidth=2, FilterHeight=2,
         FusedActivationFunction=3)  # fmt: skip
    got = run(graph(m, [x], [y]), {"x": codes(3, 4, 4, 2)})["y"]
    assert (got.min(), got.max()) == (3, 15), "0 is 3, 6 is 15"


def refused(build: Any) -> str:
    m = Model()
    with pytest.raises(ModelFileError) as caught:
        graph(m, *build(m))
    return str(caught.value)


def _pool(m: Model) -> tuple[list[int], list[int]]:
    x, y = m.tensor((1, 4, 4, 2), **Q), m.tensor((1, 2, 2, 2), scale=0.25)
    m.op("AVERAGE_POOL_2D", [x], [y], StrideW=2, StrideH=2, FilterWidth=2, FilterHeight=2)
    return [x], [y]


def _far(m: Model) -> tuple[list[int], list[int]]:
    x, y = m.tensor((1, 4), scale=100.0), m.tensor((1, 4), scale=0.01)
    m.op("ADD", [x, x], [y])
    return [x], [y]


def _shape(m: Model) -> tuple[list[int], list[int]]:
    x, y = m.tensor((1, 4), "float32"), m.tensor((1, 5), "float32")
    shape = m.tensor((2,), "int32", values=[1, 5])
    m.op("RESHAPE", [x, shape], [y])
    return [x], [y]


def _declared(m: Model) -> tuple[list[int], list[int]]:
    x, y = m.tensor((1, 4), "float32"), m.tensor((1, 5), "float32")
    m.op("ADD", [x, x], [y])
    return [x], [y]


def _beta(m: Model) -> tuple[list[int], list[int]]:
    x, y = m.tensor((1, 4), "float32"), m.tensor((1, 4), "float32")
    m.op("SOFTMAX", [x], [y], Beta=2.0)
    return [x], [y]


def _few(m: Model) -> tuple[list[int], list[int]]:
    x, y = m.tensor((1, 4), "float32"), m.tensor((1, 4), "float32")
    m.op("ADD", [x], [y])
    return [x], [y]


def _window(m: Model) -> tuple[list[int], list[int]]:
    x, y = m.tensor((1, 4), **Q), m.tensor((1, 4), **Q)
    m.op("MAX_POOL_2D", [x], [y], StrideW=1, StrideH=1, FilterWidth=1, FilterHeight=1)
    return [x], [y]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (_pool, "other parameters at its output"),
        (_far, "beyond XNNPACK; import it for tflite_reference"),
        (_shape, "4 elements do not fit the shape [1, 5]"),
        (_declared, "the file says"),
        (_beta, "of float32 with beta 2.0, not 1"),
        (_few, "has 1 inputs and 1 outputs"),
        (_window, "(N, H, W, C)"),
    ],
)
def test_what_is_refused_says_why(build: Any, message: str) -> None:
    assert message in refused(build), build.__name__
