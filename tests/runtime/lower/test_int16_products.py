"""Layers of int16 activations: the runtime's codes are the reference's, for every contract."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph, Quant
from refquant.model.rq import rq_bytes, write_rq
from refquant_runtime import FormatError, Session, UnsupportedError

CONTRACTS = ("tflite_int16", "tflite_reference_fc", "tflite_reference", "tflite_builtin")


def layer(op: str, contract: str, *, zero: int = 0, group: int = 1, y: float = 2.0**-4) -> Graph:
    rng, b = np.random.default_rng(len(contract) + group), Builder("g")
    conv = op == "Conv"
    shape: Any = ("N", 4, 6, 5) if conv else ("N", 20)
    w = rng.integers(-9, 10, {"Conv": (8, 4 // group, 3, 2), "MatMul": (20, 8)}.get(op, (8, 20)))
    x = b.input("x", shape, dtype="int16", quant=Quant(2.0**-9, zero))
    axis = 1 if op == "MatMul" else 0
    each = tuple(8 if i == axis else 1 for i in range(w.ndim))
    block = tuple(1 if i == axis else d for i, d in enumerate(w.shape))
    s = b.constant("s", (10.0 ** rng.uniform(-2, -1, 8)).astype(np.float32).reshape(each))
    held = b.constant("w", w.astype(np.int8), quant=Quant(s, 0, block))
    bias = b.constant("b", rng.integers(-(10**6), 10**6, 8).astype(np.int32), quant=Quant(1.0, 0))
    own: dict[str, Any] = {"Gemm": {"transB": 1}}.get(op, {})
    if conv:
        own = {"pads": (1, 0, 1, 1), "strides": (2, 1), "group": group}
    made = b.node(op, [x, held, bias], name="y", contract=preset(contract), dtype="int16",
                  quant=Quant(y, 3), attributes={**own, "clamp_min": -30000})  # fmt: skip
    return b.graph([made])


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize(("op", "group"), [("Conv", 1), ("Conv", 2), ("Conv", 4), ("Gemm", 1),
                                           ("MatMul", 1)])  # fmt: skip
def test_the_runtime_is_the_reference(op: str, group: int, contract: str, tmp_path: Path) -> None:
    g = layer(op, contract, group=group, zero=5)
    write_rq(tmp_path / "m.rq", g)
    rng = np.random.default_rng(0)
    shape = (4, *(int(d) for d in g.values["x"].shape[1:]))
    x = rng.integers(-32768, 32768, shape).astype(np.int16)
    x[0] = rng.choice([-32768, 32767], shape[1:])
    (expected,) = run(g, {"x": x}).values()
    assert len(np.unique(expected)) > 20, "codes of all kinds"
    for threads in (1, 2):
        (made,) = Session(tmp_path / "m.rq", threads=threads).run({"x": x}).values()
        assert np.array_equal(made, expected), f"{op} by {contract} on {threads} threads"


def test_another_rescaling_is_refused_by_name(tmp_path: Path) -> None:
    write_rq(tmp_path / "m.rq", layer("Gemm", "xnnpack"))
    with pytest.raises(UnsupportedError, match="int16 with requantize float_rne"):
        Session(tmp_path / "m.rq")


def test_sums_beyond_int32(tmp_path: Path) -> None:
    b = Builder("g")
    x = b.input("x", ("N", 600), dtype="int16", quant=Quant(2.0**-9, 0))
    w = b.constant("w", np.full((600, 1), 127, np.int8), quant=Quant(2.0**-9, 0))
    y = b.node("MatMul", [x, w], name="y", contract=preset("tflite_int16"), dtype="int16",
               quant=Quant(1.0, 0))  # fmt: skip
    g = b.graph([y])
    write_rq(tmp_path / "m.rq", g)
    feeds = {"x": np.full((1, 600), 32767, np.int16)}  # 2496845400, of 2^-18
    assert run(g, feeds)["y"].tolist() == [[9525]], "9524.7"
    assert Session(tmp_path / "m.rq").run(feeds)["y"].tolist() == [[9525]], "in int64"


def long_bias(contract: str = "tflite_int16", *, bias: int = 2**40 + 3) -> Graph:
    """Tiny weights beside a bias of 64 bits, in one layer of 16-bit codes."""
    b = Builder("g")
    x = b.input("x", ("N", 4), dtype="int16", quant=Quant(2.0**-9, 5))
    w = b.constant("w", np.arange(-6, 6).reshape(4, 3).astype(np.int8), quant=Quant(2.0**-27, 0))
    s = b.constant("s", np.full(3, 2.0**-36, np.float32))
    codes = np.array([bias, -bias, 2**31])
    long = b.constant("b", codes, dtype="int64", quant=Quant(s, 0, (1,)))
    made = b.node("Gemm", [x, w, long], name="y", contract=preset(contract), dtype="int16",
                  quant=Quant(2.0**-9, 3))  # fmt: skip
    return b.graph([made])


@pytest.mark.parametrize("contract", ["tflite_int16", "tflite_reference_fc"])
def test_a_bias_of_64_bits(contract: str, tmp_path: Path) -> None:
    """2^40 / 2^27 = 8192, 2^31 / 2^27 = 16; inputs of 2^15 times weights below 2^3 are 2^20."""
    g = long_bias(contract)
    write_rq(tmp_path / "m.rq", g)
    x = np.array([[32767] * 4, [5] * 4, [-32768] * 4], np.int16)
    (expected,) = run(g, {"x": x}).values()
    assert expected[1].tolist() == [8195, -8189, 19], "by hand"
    (made,) = Session(tmp_path / "m.rq").run({"x": x}).values()
    assert np.array_equal(made, expected), "the runtime is the reference"


def test_a_bias_of_64_bits_has_48(tmp_path: Path) -> None:
    """A damaged file: what the writer would refuse is refused by the reader, too."""
    write_rq(tmp_path / "m.rq", g := long_bias())
    for wrong in (2**47, -(2**63)):
        array = np.array([wrong, 0, 0])
        data = rq_bytes(g).replace(g.constants["b"].tobytes(), array.tobytes())
        old, new = (
            hashlib.sha256(a.tobytes()).hexdigest().encode() for a in (g.constants["b"], array)
        )
        data = data.replace(old, new)
        (tmp_path / "m.rq").write_bytes(data)
        with pytest.raises(FormatError, match="bias reaches"):
            Session(tmp_path / "m.rq")
