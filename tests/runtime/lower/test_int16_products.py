"""Layers of int16 activations: the runtime's codes are the reference's, for every contract."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph, Quant
from refquant.model.rq import write_rq
from refquant_runtime import Session, UnsupportedError

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
