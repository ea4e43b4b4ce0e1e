"""TRANSPOSE_CONV against its definition, a scatter of products, in exact integers."""

from typing import Any

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.importers.tflite import tflite_graph
from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_bytes import Model


def net(
    x: Any, w: Any, strides: tuple[int, int], *, same: bool, real: bool = False, **given: Any
) -> tuple[bytes, tuple[int, int]]:
    m = Model()
    _, h, wide, c = x.shape
    o, kh, kw, _ = w.shape
    sizes = ((h, strides[0], kh), (wide, strides[1], kw))
    out = tuple(d * t if same else (d - 1) * t + k for d, t, k in sizes)
    kind = "float32" if real else "int8"
    one: dict[str, Any] = {} if real else {"scale": 1.0}
    rulers: list[dict[str, Any]] = [{}, {}]
    if not real:
        rulers = [{"scale": 1.0, "zero_point": 3}, {"scale": 64.0, "zero_point": -2}]
    source = m.tensor((1, h, wide, c), kind, name="x", **rulers[0])
    held = m.tensor(w.shape, kind, values=w, **one)
    bias = m.tensor((o,), "float32" if real else "int32", values=np.arange(o), **one)
    shape = m.tensor((4,), "int32", values=(1, *out, o))
    y = m.tensor((1, *out, o), kind, name="y", **rulers[1])
    m.op("TRANSPOSE_CONV", [shape, held, source, bias], [y], Padding=int(not same),
         StrideH=strides[0], StrideW=strides[1], **given)  # fmt: skip
    return m.data([source], [y]), out


def scattered(x: Any, w: Any, strides: tuple[int, int], out: tuple[int, int], same: bool) -> Any:
    n, h, wide, _ = x.shape
    o, kh, kw, _ = w.shape
    tops = [
        max((d - 1) * t + k - size, 0) // 2 if same else 0
        for d, t, k, size in zip((h, wide), strides, (kh, kw), out, strict=True)
    ]
    y = np.zeros((n, *out, o), x.dtype)
    for i in range(h):
        for j in range(wide):
            for a in range(kh):
                for b in range(kw):
                    p, q = i * strides[0] - tops[0] + a, j * strides[1] - tops[1] + b
                    if 0 <= p < out[0] and 0 <= q < out[1]:
                        y[:, p, q] += x[:, i, j] @ w[:, a, b].T
    return y + np.arange(o)


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize(
    ("kernel", "strides"), [((3, 3), (2, 2)), ((2, 4), (2, 1)), ((1, 1), (1, 1)), ((4, 3), (3, 3))]
)
def test_it_is_a_scatter_of_products(
    kernel: tuple[int, int], strides: tuple[int, int], same: bool
) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(-128, 128, (2, 4, 3, 2)).astype(np.int8)
    w = rng.integers(-20, 21, (3, *kernel, 2)).astype(np.int8)
    data, out = net(x, w, strides, same=same)
    sums = scattered(x.astype(int) - 3, w.astype(int), strides, out, same)
    expected = np.clip(np.rint(sums / 64) - 2, -128, 127)  # a power of two: exact, ties to even
    made = run(tflite_graph(data, path="net"), {"x": x})["y"]
    assert np.array_equal(made, expected), "exact sums, requantized by float_rne"
    reals, _ = net(x, w.astype(np.float32), strides, same=same, real=True)
    got = run(tflite_graph(reals, path="net"), {"x": x.astype(np.float32)})["y"]
    whole = scattered(x.astype(int), w.astype(int), strides, out, same)
    assert np.array_equal(got, whole), "of whole numbers float32 is exact, too"


def test_strides_that_xnnpack_gives_back_are_refused_by_name() -> None:
    x, w = np.zeros((1, 3, 3, 1), np.int8), np.ones((1, 1, 1, 1), np.int8)
    data, _ = net(x, w, (2, 2), same=True)
    with pytest.raises(ModelFileError, match=r"larger than its kernel .* for tflite_reference"):
        tflite_graph(data, path="net")
    made = run(tflite_graph(data, path="net", contract="tflite_reference"), {"x": x})["y"]
    assert made.shape == (1, 6, 6, 1), "its reference kernel has no such limit"


def test_a_fused_activation_is_refused() -> None:
    x, w = np.zeros((1, 3, 3, 1), np.int8), np.ones((1, 2, 2, 1), np.int8)
    data, _ = net(x, w, (2, 2), same=True, FusedActivationFunction=1)
    with pytest.raises(ModelFileError, match="has a fused activation"):
        tflite_graph(data, path="net")
