"""Every operator of int16 codes: the runtime's codes are the reference's, on any number of threads.

The layers are in test_int16_products.py; LiteRT in tests/outsiders/test_litert_int16.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.qparams import QParams
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph, Quant
from refquant.model.rq import write_rq
from refquant.ops.softmax_int16 import reciprocal_points, softmax_table_int16
from refquant_runtime import Session
from refquant_runtime.lower.int16 import _reciprocals

TFLITE, MUL = preset("tflite_reference"), preset("tflite_mul")


def quant(scale: float, zero_point: int = 0) -> Quant:
    return Quant(float(np.float32(scale)), zero_point)


Q, HALF, UNIT = quant(0.01), quant(0.005), quant(2.0**-15)
SHAPE = ("N", 3, 5, 4)
Make = Callable[[Builder, str], str]


def node(op: str, ruler: Quant | None, contract: Any = TFLITE, *, table: Any = None,
         dtype: str = "int16", twice: bool = False, table_quant: bool = True,
         **attributes: Any) -> Make:  # fmt: skip
    def make(b: Builder, x: str) -> str:
        inputs = [x, x] if twice else [x]
        if table is not None:
            inputs.append(b.constant("t", table, quant=ruler if table_quant else None))
        more: Any = {} if ruler is None else {"dtype": dtype, "quant": ruler}
        return b.node(op, inputs, name="y", contract=contract, attributes=attributes, **more)

    return make


EXP = softmax_table_int16(QParams(np.float32(0.01), np.int32(0), None, "int16"), beta=1.0)
CODES = np.arange(-32768, 32768)
CASES: dict[str, Make] = {
    "Add": node("Add", quant(0.015, 0), twice=True, clamp_min=-30000),
    "Add, zero point": node("Add", quant(0.015, -7), twice=True),
    "Mul": node("Mul", quant(0.01 * 40, 0), MUL, twice=True, clamp_max=30000),
    "Mul, int64": node("Mul", quant(0.4, 0), preset("tflite_int16"), twice=True),
    "Mul, float64": node("Mul", quant(0.4, 3), preset("tflite_reference_fc"), twice=True),
    "Mul, neon": node("Mul", quant(0.4, 0), preset("tflite_builtin"), twice=True),
    "AveragePool": node("AveragePool", Q, kernel_shape=(3, 2), pads=(1, 0, 1, 1)),
    "AveragePool, padding counts": node("AveragePool", Q, kernel_shape=(2, 2), pads=(1, 1, 0, 0),
                                        count_include_pad=1),
    "GlobalAveragePool": node("GlobalAveragePool", Q),
    "MaxPool": node("MaxPool", Q, None, kernel_shape=(2, 3), pads=(1, 1, 0, 1), strides=(2, 1)),
    "GlobalMaxPool": node("GlobalMaxPool", Q, None),
    "ReduceMean": node("ReduceMean", quant(0.004, 0), axes=(2, 3), keepdims=0),
    "ReduceMean, channels": node("ReduceMean", quant(0.02, 5), axes=(1, 3)),
    "Softmax": node("Softmax", UNIT, table=EXP, table_quant=False, axis=-1),
    "Softmax, channels": node("Softmax", UNIT, table=EXP, table_quant=False, axis=1),
    "Relu": node("Relu", Q),
    "Clip": node("Clip", Q, clamp_min=-5, clamp_max=3000),
    "a table": node("Tanh", HALF, table=(CODES // 3).astype(np.int16)),
    "a table to int8": node("Requantize", HALF, table=(CODES // 256).astype(np.int8), dtype="int8"),
    "DequantizeLinear": node("DequantizeLinear", None),
    "Transpose": node("Transpose", Q, None, perm=(0, 2, 1, 3)),
    "Pad": node("Pad", Q, None, pads=(0, 1, 0, 2, 0, 0, 1, 1)),
    "Concat": node("Concat", Q, None, twice=True, axis=2),
    "Slice": node("Slice", Q, None, axes=(2, 3), starts=(1, 0), ends=(4, 2)),
    "Reshape": node("Reshape", Q, None, shape=(0, 60)),
}  # fmt: skip


def same(graph: Graph, feeds: dict[str, Any], path: Path) -> None:
    write_rq(path, graph)
    expected = run(graph, feeds)
    for threads in (1, 3):
        for name, made in Session(path, threads=threads).run(feeds).items():
            assert made.dtype == expected[name].dtype, f"{name}: {made.dtype}"
            assert np.array_equal(made, expected[name]), f"{name} on {threads} threads"


def codes(*shape: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    x = rng.integers(-32768, 32768, shape).astype(np.int16)
    x[0], x[1] = rng.choice([-32768, 32767], shape[1:]), -32768
    return x


@pytest.mark.parametrize("case", CASES)
def test_the_runtime_is_the_reference(case: str, tmp_path: Path) -> None:
    ruler = quant(0.01, -3) if case == "Add, zero point" else Q
    b = Builder("g")
    g = b.graph([CASES[case](b, b.input("x", SHAPE, dtype="int16", quant=ruler))])
    same(g, {"x": codes(4, 3, 5, 4)}, tmp_path / "m.rq")


def test_a_constant_operand_broadcasts(tmp_path: Path) -> None:
    b = Builder("g")
    x = b.input("x", SHAPE, dtype="int16", quant=Q)
    k = b.constant("k", np.array([[[-300]], [[20000]], [[7]]], np.int16), quant=quant(0.02, 0))
    y = b.node("Add", [x, k], name="y", contract=TFLITE, dtype="int16", quant=quant(0.03, 0))
    same(b.graph([y]), {"x": codes(4, 3, 5, 4)}, tmp_path / "m.rq")


@pytest.mark.parametrize("contract", ["tflite_reference", "tflite_builtin", "xnnpack"])
def test_reals_become_codes(contract: str, tmp_path: Path) -> None:
    b = Builder("g")
    x = b.input("x", ("N", 8))
    y = b.node("QuantizeLinear", [x], name="y", contract=preset(contract), dtype="int16",
               quant=quant(0.5, 0))  # fmt: skip
    ties = np.array([[0.25, 0.75, -0.25, -0.75, 16383.75, -16384.25, 1e9, -1e9],
                     [np.nan, np.inf, -np.inf, -0.0, 1e-40, 2.6, 7.25, -7.25]])  # fmt: skip
    same(b.graph([y]), {"x": ties.astype(np.float32)}, tmp_path / "m.rq")


def test_bytes_become_codes_of_16_bits(tmp_path: Path) -> None:
    b = Builder("g")
    x = b.input("x", ("N", 256), dtype="int8", quant=Q)
    t = b.constant("t", (np.arange(256) * 255 - 32768).astype(np.int16), quant=HALF)
    y = b.node("Requantize", [x, t], name="y", contract=TFLITE, dtype="int16", quant=HALF)
    same(b.graph([y]), {"x": np.arange(-128, 128).astype(np.int8)[None]}, tmp_path / "m.rq")


def test_the_reciprocals_are_the_reference_s() -> None:
    assert _reciprocals() == reciprocal_points().tolist(), "two programs, one text"
