"""Whole small models: codes that LiteRT gave, contracts, batches, and what is refused by name.

The golden codes are LiteRT 2.3.0's on x86, by its XNNPACK delegate and by its reference kernels;
``tests/outsiders/test_litert.py`` asks it again, operator by operator, on many more inputs.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.importers.tflite import import_tflite, tflite_graph
from refquant.model.importers.tflite_kernels import TOOLS
from refquant.model.loaders.tensors import ModelFileError
from refquant.model.rq import read_rq, write_rq
from refquant_runtime import Session
from tests.refquant.model.importers.tflite_bytes import Model

CONTRACTS = {
    "xnnpack": ["tflite_builtin", "xnnpack"],
    "tflite_reference": ["tflite_mul", "tflite_reference", "tflite_reference_fc"],
}


def net() -> bytes:
    """Two branches, added, multiplied, pooled, a mean, a layer, a logistic, a softmax."""
    rng = np.random.default_rng(8)
    m = Model()
    x = m.tensor((1, 8, 8, 3), scale=0.05, zero_point=-7, name="image")
    steps: dict[str, Any] = {"StrideW": 1, "StrideH": 1, "Padding": 0}
    dilated = {**steps, "DilationWFactor": 1, "DilationHFactor": 1}
    w = m.tensor((6, 3, 3, 3), values=rng.integers(-127, 128, (6, 3, 3, 3)),
                 scale=rng.uniform(0.001, 0.02, 6), zero_point=[0] * 6)  # fmt: skip
    b = m.tensor((6,), "int32", values=rng.integers(-900, 900, 6), scale=[0.001] * 6,
                 zero_point=[0] * 6)  # fmt: skip
    c = m.tensor((1, 8, 8, 6), scale=0.06, zero_point=-20)
    m.op("CONV_2D", [x, w, b], [c], FusedActivationFunction=3, **dilated)
    v = m.tensor((1, 3, 3, 6), values=rng.integers(-127, 128, (1, 3, 3, 6)), scale=[0.01] * 6,
                 zero_point=[0] * 6, axis=3)  # fmt: skip
    d = m.tensor((1, 8, 8, 6), scale=0.1, zero_point=4)
    e = m.tensor((6,), "int32", values=[0] * 6, scale=[0.0006] * 6, zero_point=[0] * 6)
    m.op("DEPTHWISE_CONV_2D", [c, v, e], [d], DepthMultiplier=1, **dilated)
    s = m.tensor((1, 8, 8, 6), scale=0.11, zero_point=1)
    m.op("ADD", [c, d], [s])
    k = m.tensor((6,), values=rng.integers(-128, 128, 6), scale=0.02, zero_point=9)
    t = m.tensor((1, 8, 8, 6), scale=0.13, zero_point=2)
    m.op("MUL", [s, k], [t], FusedActivationFunction=1)
    p = m.tensor((1, 4, 4, 6), scale=0.13, zero_point=2)
    m.op("AVERAGE_POOL_2D", [t], [p], FilterWidth=3, FilterHeight=3, StrideW=2, StrideH=2,
         Padding=0)  # fmt: skip
    axes = m.tensor((2,), "int32", values=[1, 2])
    h = m.tensor((1, 6), scale=0.05, zero_point=-100)
    m.op("MEAN", [p, axes], [h])
    f = m.tensor((5, 6), values=rng.integers(-127, 128, (5, 6)), scale=0.003)
    g = m.tensor((5,), "int32", values=rng.integers(-900, 900, 5), scale=0.00015)
    y = m.tensor((1, 5), scale=0.04, zero_point=0, name="logits")
    m.op("FULLY_CONNECTED", [h, f, g], [y])
    z = m.tensor((1, 5), scale=1 / 256, zero_point=-128, name="each")
    m.op("LOGISTIC", [y], [z])
    o = m.tensor((1, 5), scale=1 / 256, zero_point=-128, name="all")
    m.op("SOFTMAX", [y], [o], Beta=1.0)
    return m.data([x], [s, y, z, o])


NET = net()
IMAGES = np.random.default_rng(4).integers(-128, 128, (3, 8, 8, 3)).astype(np.int8)
GOLDEN = {
    "xnnpack": {
        "logits": [[38, -67, -55, 110, 32], [39, -74, -54, 110, 34], [42, -75, -51, 111, 35]],
        "each": [[82, -112, -102, 125, 72], [84, -115, -102, 125, 76], [88, -116, -99, 125, 77]],
        "all": [
            [-115, -128, -128, 104, -118],
            [-115, -128, -128, 103, -117],
            [-113, -128, -128, 102, -117],
        ],
    },
    "tflite_reference": {
        "logits": [[38, -67, -55, 110, 32], [40, -74, -54, 111, 34], [42, -76, -51, 111, 35]],
        "each": [[82, -112, -102, 125, 72], [85, -115, -102, 125, 76], [88, -116, -99, 125, 77]],
        "all": [
            [-115, -128, -128, 104, -118],
            [-114, -128, -128, 103, -117],
            [-113, -128, -128, 102, -117],
        ],
    },
}
SUMS_APART = 4


def graph(contract: str) -> Graph:
    return tflite_graph(NET, path="net.tflite", contract=contract)


@pytest.mark.parametrize("tool", TOOLS)
def test_the_codes_are_those_that_litert_gave(tool: str) -> None:
    out = run(graph(tool), {"image": IMAGES})
    for name, expected in GOLDEN[tool].items():
        assert out[name].tolist() == expected, f"{tool}: {name}"


def test_the_tools_are_told_apart() -> None:
    sums = [run(graph(tool), {"image": IMAGES})["t7"] for tool in TOOLS]
    assert sums[0].shape == (3, 8, 8, 6), "the order of the file"
    assert np.count_nonzero(sums[0] != sums[1]) == SUMS_APART, "codes of the addition that differ"


@pytest.mark.parametrize("tool", TOOLS)
def test_each_node_names_its_contract(tool: str, tmp_path: Path) -> None:
    g = graph(tool)
    assert sorted(g.contracts) == CONTRACTS[tool], "of the kernels that run"
    write_rq(tmp_path / "net.rq", g)
    assert read_rq(tmp_path / "net.rq") == g, "and a file holds it"


@pytest.mark.parametrize("tool", TOOLS)
def test_the_runtime_computes_the_same(tool: str, tmp_path: Path) -> None:
    g = graph(tool)
    write_rq(tmp_path / "net.rq", g)
    session = Session(tmp_path / "net.rq")
    try:
        ours = session.run({"image": IMAGES})
    finally:
        session.close()
    for name, codes in run(g, {"image": IMAGES}).items():
        assert np.array_equal(ours[name], codes), f"{tool}: {name}"


def test_inputs_and_outputs_keep_their_order_and_names() -> None:
    g = graph("xnnpack")
    assert (g.inputs, g.outputs) == (("image",), ("t7", "logits", "each", "all")), "as in the file"
    assert g.values["image"].shape == ("N", 8, 8, 3), "N H W C, any number of samples"
    turns = [n.name for n in g.nodes if n.op == "Transpose"]
    assert turns == ["image/channels_first", "t7"], "one turn at each end, none between"


def test_a_model_of_no_batch_has_fixed_shapes() -> None:
    m = Model()
    x = m.tensor((3, 4), "float32", name="x")
    y = m.tensor((2, 6), "float32", name="y")
    shape = m.tensor((2,), "int32", values=[2, -1])
    m.op("RESHAPE", [x, shape], [y])
    g = tflite_graph(m.data([x], [y]), path="fixed.tflite")
    assert g.values["y"].shape == (2, 6), "as the file says"
    m = Model()
    x = m.tensor((1, 6), "float32", name="x")
    y = m.tensor((2, 3), "float32", name="y")
    shape = m.tensor((2,), "int32", values=[2, 3])
    m.op("RESHAPE", [x, shape], [y])
    g = tflite_graph(m.data([x], [y]), path="mixed.tflite")
    assert g.values["x"].shape == (1, 6), "the first dimension does not stay: it is no batch"


def test_floats_and_float16_weights() -> None:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((2, 3)).astype(np.float16)
    m = Model()
    x = m.tensor((1, 3), "float32", name="x")
    half = m.tensor((2, 3), "float16", values=weights)
    w = m.tensor((2, 3), "float32")
    m.op("DEQUANTIZE", [half], [w])
    b = m.tensor((2,), "float32", values=[0.5, -0.5])
    y = m.tensor((1, 2), "float32", name="y")
    m.op("FULLY_CONNECTED", [x, w, b], [y], FusedActivationFunction=1)
    g = tflite_graph(m.data([x], [y]), path="half.tflite")
    assert [n.op for n in g.nodes] == ["Gemm", "Relu"], "no node for constants"
    sample = rng.standard_normal((4, 3)).astype(np.float32)
    got = run(g, {"x": sample})["y"]
    assert np.array_equal(got, by_hand(sample, weights.astype(np.float32), [0.5, -0.5])), (
        "ascending"
    )


def by_hand(x: NDArray[np.float32], w: NDArray[np.float32], b: list[float]) -> NDArray[np.float32]:
    rows = []
    for line in x:
        total = [np.float32(0)] * len(w)
        for i, row in enumerate(w):
            for u, v in zip(line, row, strict=True):
                total[i] = np.float32(total[i] + np.float32(u * v))
        rows.append(
            [
                max(np.float32(t + np.float32(c)), np.float32(0))
                for t, c in zip(total, b, strict=True)
            ]
        )
    return np.array(rows, np.float32)


def test_all_that_is_not_known_is_one_error() -> None:
    m = Model()
    x = m.tensor((1, 4), "float32", name="x")
    a, b, c, d, e = (m.tensor((1, 4), "float32", name=n) for n in ("a", "b", "c", "d", "out"))
    w = m.tensor((4, 4), values=np.ones((4, 4)), scale=0.1, zero_point=3)
    m.op("CUSTOM Magic", [x], [a])
    m.op("COS", [x], [b])
    m.op("ADD", [a, b], [c])
    m.op("FULLY_CONNECTED", [x, w, -1], [d])
    m.op("SIN", [c], [e])
    with pytest.raises(ModelFileError) as caught:
        tflite_graph(m.data([x], [e, d]), path="odd.tflite")
    message = str(caught.value)
    for part in (
        "odd.tflite: 4 operators are not known here", "operator 0 CUSTOM Magic ('a')",
        "operator 1 COS ('b')", "operator 4 SIN ('out')",
        "operator 3 FULLY_CONNECTED ('d'): has weights with a zero point that is not 0",
    ):  # fmt: skip
        assert part in message, f"{part!r} in {message!r}"
    assert "ADD" not in message, "an addition is known: only its operands are not"


@pytest.mark.parametrize(
    ("dtype", "zero", "message"),
    [("int16", 1, "of int16 with a zero point that is not 0"), ("uint8", 0, "not int8 or int16")],
)
def test_other_codes_are_named(dtype: str, zero: int, message: str) -> None:
    m = Model()
    x = m.tensor((1, 4), "float32", name="x")
    y = m.tensor((1, 4), dtype, scale=0.5, zero_point=zero, name="y")
    m.op("QUANTIZE", [x], [y])
    with pytest.raises(ModelFileError, match=message):
        tflite_graph(m.data([x], [y]), path="m.tflite")


def test_the_tool_is_one_of_two(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(NET)
    assert import_tflite(tmp_path / "net.tflite").meta["tool"] == "xnnpack", "as LiteRT does"
    with pytest.raises(ValueError, match="must be one of xnnpack, tflite_reference, got 'ort'"):
        import_tflite(tmp_path / "net.tflite", contract="ort")
