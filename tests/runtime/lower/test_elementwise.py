"""Tables by the code's byte, and which kernel a function of one tensor becomes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant.model.rq import write_rq
from refquant_runtime import Session


def session_of(folder: Path, b: Builder, outputs: list[str]) -> Session:
    path = folder / "m.rq"
    write_rq(path, b.graph(outputs))
    return Session(path, threads=1)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_code_finds_its_entry(dtype: str, tmp_path: Path) -> None:
    b = Builder("table")
    q = Quant(0.5, 3)
    x = b.input("x", ("N", 256), dtype=dtype, quant=q)
    entries = np.random.default_rng(0).permutation(256).astype(np.uint8).view(dtype)
    table = b.constant("t", entries)
    y = b.node("Tanh", [x, table], name="y", contract=preset("ort"), dtype=dtype, quant=q)
    session = session_of(tmp_path, b, [y])
    lowest = -128 if dtype == "int8" else 0
    codes = np.arange(lowest, lowest + 256).astype(dtype)
    actual = session.run({"x": codes[None]})["y"][0]
    assert np.array_equal(actual, entries), f"{dtype}: y = table[q - qmin]"


@pytest.mark.parametrize(
    ("op", "attributes", "expected"),
    [("Relu", {}, lambda q: np.maximum(q, 5)),
     ("Clip", {"clamp_min": -7, "clamp_max": 60}, lambda q: np.clip(q, -7, 60))],
)  # fmt: skip
def test_bounds_on_codes_become_tables(
    op: str, attributes: Any, expected: Any, tmp_path: Path
) -> None:
    b = Builder("bounds")
    x = b.input("x", ("N", 256), dtype="int8", quant=Quant(0.5, 5))
    y = b.node(op, [x], name="y", contract=preset("ort"), attributes=attributes)
    session = session_of(tmp_path, b, [y])
    codes = np.arange(-128, 128).astype(np.int8)
    actual = session.run({"x": codes[None]})["y"][0]
    assert np.array_equal(actual, expected(codes)), f"{op} on codes"
    assert [s.kernel.__name__ for s in session.plan.steps] == ["table_i8"], "one table"


def test_softmax_of_codes_goes_by_way_of_floats(tmp_path: Path) -> None:
    b = Builder("softmax")
    x = b.input("x", ("N", 3), dtype="uint8", quant=Quant(0.5, 100))
    y = b.node("Softmax", [x], name="y", contract=preset("ort"), dtype="uint8",
               quant=Quant(1 / 256, 0))  # fmt: skip
    session = session_of(tmp_path, b, [y])
    names = [s.kernel.__name__ for s in session.plan.steps]
    assert names == ["dequantize", "softmax_f32", "quantize"], f"{names}"
    actual = session.run({"x": np.array([[100, 100, 100], [255, 0, 0]], np.uint8)})["y"]
    assert actual.tolist() == [[85, 85, 85], [255, 0, 0]], f"thirds of 256, and a winner: {actual}"
