"""Layers of dynamic range in the runtime: two steps, the reference's bits, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.contracts import Contract, preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph, Quant
from refquant.model.importers.tflite import tflite_graph
from refquant.model.rq import write_rq
from refquant_runtime import Session
from refquant_runtime.errors import FormatError
from tests.refquant.model.importers.tflite_hybrid_nets import CASES, IMAGE, net
from tests.runtime.lower.steps import kernels, session_of


@pytest.mark.parametrize("tool", ["xnnpack", "tflite_reference"])
@pytest.mark.parametrize("case", CASES)
def test_it_has_the_bits_of_the_reference(case: str, tool: str, tmp_path: Path) -> None:
    graph = tflite_graph(net(*CASES[case]), path="net", contract=tool)
    shape = (1, 8) if case.startswith("FULLY") else (1, 2, 2, 2)
    rng = np.random.default_rng(0)
    x = np.concatenate([IMAGE.reshape(shape), rng.normal(size=(6, *shape[1:])), np.zeros(shape)])
    feeds = {"x": x.astype(np.float32)}
    assert np.array_equal(session_of(tmp_path, graph).run(feeds)["y"], run(graph, feeds)["y"]), case


def layer(contract: Contract, *, group: int, channels: int, relu: bool) -> Graph:
    """A convolution of dynamic range, its channels no multiple of four."""
    rng, b = np.random.default_rng(channels), Builder("g")
    x = b.input("x", ("N", channels, 5, 4))
    m = channels if group > 1 else 7
    scale = b.constant("s", rng.uniform(0.001, 0.1, (m, 1, 1, 1)).astype(np.float32))
    k = channels // group
    w = b.constant("w", rng.integers(-127, 128, (m, k, 3, 2)).astype(np.int8), dtype="int8",
                   quant=Quant(scale, 0, (1, k, 3, 2)))  # fmt: skip
    bias = b.constant("b", rng.normal(size=m).astype(np.float32))
    y = b.node("ConvDynamicRange", [x, w, bias], name="y", contract=contract,
               attributes={"symmetric": 0, "pads": (1, 0, 1, 1), "strides": (2, 1),
                           "group": group})  # fmt: skip
    return b.graph([b.node("Relu", [y], name="r") if relu else y])


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize(("group", "channels"), [(1, 5), (6, 6), (3, 6), (19, 19)])
@pytest.mark.parametrize(
    "name", ["tflite_hybrid", "tflite_hybrid_conv", "tflite_hybrid_depthwise", "xnnpack_hybrid"]
)
def test_every_order_in_every_kernel(
    name: str, group: int, channels: int, relu: bool, tmp_path: Path
) -> None:
    graph = layer(preset(name), group=group, channels=channels, relu=relu)
    x = np.random.default_rng(1).normal(size=(3, channels, 5, 4)).astype(np.float32)
    session = session_of(tmp_path, graph)
    expected = run(graph, {"x": x})
    for key, made in session.run({"x": x}).items():
        assert np.array_equal(made, expected[key]), f"{name}, {group} groups"
    assert kernels(session).count("quantize_rows") == 1, "codes are made once for all groups"


def test_a_contract_of_rows_quantizes_no_tensor(tmp_path: Path) -> None:
    b = Builder("g")
    x = b.input("x", ("N", 3))
    y = b.node("QuantizeLinear", [x], name="y", contract=preset("tflite_hybrid"), dtype="int8",
               quant=Quant(0.5, 0))  # fmt: skip
    write_rq(tmp_path / "m.rq", b.graph([y]))
    with pytest.raises(FormatError, match="its contract quantizes rows only"):
        Session(tmp_path / "m.rq")


def test_a_contract_of_codes_ends_in_no_reals(tmp_path: Path) -> None:
    graph = tflite_graph(net(*CASES["CONV_2D"]), path="net")
    write_rq(tmp_path / "m.rq", graph)
    data: Any = (tmp_path / "m.rq").read_bytes()
    assert data.count(b"float32_input_first_fused") == 1, "the contract is in the file"
    other = b"float_rne" + b" " * 0
    changed = data.replace(b"float32_input_first_fused", other.ljust(25, b"x"))
    (tmp_path / "m.rq").write_bytes(changed)
    with pytest.raises(FormatError, match="requantize"):
        Session(tmp_path / "m.rq")
