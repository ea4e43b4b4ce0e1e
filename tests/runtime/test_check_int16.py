"""What the loader refuses of 16-bit codes, before anything runs."""

import numpy as np
import pytest

from refquant_runtime.check_int16 import LIMITS, check_int16
from refquant_runtime.contracts import Arithmetic
from refquant_runtime.graph import Node, Quant, Value
from refquant_runtime.rules import BeyondError


def arithmetic(requantize: str) -> Arithmetic:
    return Arithmetic(
        "tflite_int16", 2, "int32_min", requantize, "tflite_shift20", "half_away",
        "folded_multiplier", "fixed_point_table", "of_scale", -1,
    )  # fmt: skip


def codes(name: str, dtype: str = "int16", shape: tuple[int, ...] = (1, 4), scale: float = 0.5,
          data: np.ndarray | None = None) -> Value:  # fmt: skip
    quant = Quant(np.array(scale, np.float32), np.array(0, np.int32), None)
    return Value(name, dtype, shape, False, quant, data)


def node(op: str, **attributes: object) -> Node:
    return Node("n", op, (), (), attributes, "c")


def weights(value: int, k: int) -> Value:
    return codes("w", "int8", (k, 1), data=np.full((k, 1), value, np.int8))


def test_sums_of_48_bits() -> None:
    k = 70000  # 127 * 32768 * 70000 is 38 bits
    x, y = codes("x", shape=(1, k)), codes("y", shape=(1, 1))
    check_int16(node("MatMul"), [x, weights(127, k)], y, arithmetic("tflite_int64"))
    with pytest.raises(ValueError, match="accumulator of output channel 0 may reach 291"):
        check_int16(node("MatMul"), [x, weights(127, k)], y, arithmetic("gemmlowp_double"))
    assert set(LIMITS.values()) == {2**47 - 1}, "as the text says"


TABLE = np.full(65536, 20000, np.int16)
PLAIN = Value("t", "int16", (65536,), False, None, TABLE)
LOW = Value("t", "int16", (65536,), False, None, TABLE // 2)
X, Y, UNIT = codes("x"), codes("y"), codes("y", scale=2.0**-15)
BROKEN = {
    "a softmax's scale": ("Softmax", [X, PLAIN], Y, "of int16 gives scale 2"),
    "a softmax's table": ("Softmax", [X, LOW], UNIT, "first 16384"),
    "no table": ("Tanh", [X], Y, "needs a table of all codes"),
    "a short table": ("Tanh", [X, codes("t", shape=(256,), data=TABLE[:256])], Y, "for each code"),
    "a pool that rescales": ("GlobalAveragePool", [X], codes("y", scale=1.0), "must share"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_named(case: str) -> None:
    op, present, y, message = BROKEN[case]
    with pytest.raises(ValueError, match=message):
        check_int16(node(op), present, y, arithmetic("tflite_int64"))


@pytest.mark.parametrize(
    ("op", "present", "y"),
    [
        ("MatMul", [X, weights(1, 4)], codes("y", "int8", (1, 1))),
        ("Add", [X, codes("b", "int8")], Y),
        ("Relu", [codes("x", "uint16")], Y),
    ],
)
def test_what_is_beyond_us_is_named(op: str, present: list[Value], y: Value) -> None:
    with pytest.raises(BeyondError):
        check_int16(node(op), present, y, arithmetic("tflite_int64"))
