"""int16x8: codes by hand, and what is refused. LiteRT: tests/outsiders/test_litert_int16.py."""

from typing import Any

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.importers.tflite import tflite_graph
from refquant.model.importers.tflite_int16 import INT16
from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_bytes import Model


def one(op: str, inputs: list[dict[str, Any]], y: dict[str, Any], **options: Any) -> bytes:
    m = Model()
    ends = [m.tensor((1, 4), **{"dtype": "int16", "name": n, **i})
            for n, i in zip("ab", inputs, strict=False)]  # fmt: skip
    made = m.tensor((1, 4), **{"dtype": "int16", "name": "y", **y})
    m.op(op, ends, [made], **options)
    return m.data(ends, [made])


def codes(data: bytes, tool: str = "tflite_reference", **feeds: list[float]) -> list[float]:
    g = tflite_graph(data, path="m.tflite", contract=tool)
    dtype = {n: np.dtype(g.values[n].dtype) for n in g.inputs}
    (y,) = run(g, {n: np.array([v], dtype[n]) for n, v in feeds.items()}).values()
    return list(np.asarray(y)[0].tolist())


HALF, ONE = {"scale": 0.5}, {"scale": 1.0}


def test_sums_and_products_by_hand() -> None:
    add = one("ADD", [ONE, ONE], {"scale": 3.0}, PotScaleInt16=False)
    # 3/3, 5/3, -32768 * 2 / 3 and 32767 + 1 over 3
    made = codes(add, a=[1, 2, -32768, 32767], b=[2, 3, -32768, 1])
    assert made == [1, 2, -21845, 10923], "rounded to the nearest"
    near = one("ADD", [ONE, {"scale": 0.3}], ONE, PotScaleInt16=False)
    made = codes(near, a=[-27247, 26479, 0, 0], b=[2705, -13975, 0, 0])
    assert made[:2] == [-26435, 22286], "all but ties: with 14 bits of headroom the next ones"
    mul = one("MUL", [ONE, HALF], ONE)
    made = codes(mul, a=[3, -3, 32767, -32768], b=[1, 1, 1, 32767])
    assert made == [2, -1, 16384, -32768], "ties as gemmlowp's, and saturated"


def test_conversions_by_hand() -> None:
    quantize = one("QUANTIZE", [{"dtype": "float32"}], HALF)
    assert codes(quantize, a=[0.25, 0.75, -0.25, 1e9]) == [1, 2, -1, 32767], "half away from zero"
    narrow = one("QUANTIZE", [{"scale": 1 / 256}], {"dtype": "int8", "scale": 1.0, "zero_point": 3})
    assert codes(narrow, a=[128, -128, 32767, 384]) == [4, 2, 127, 5], "128/256 is a tie"
    wide = one("QUANTIZE", [{"dtype": "int8", "scale": 1.0, "zero_point": 3}], {"scale": 1 / 256})
    assert codes(wide, a=[4, 3, -128, 127]) == [256, 0, -32768, 31744], "131 * 256 is beyond"
    back = one("DEQUANTIZE", [HALF], {"dtype": "float32"})
    assert codes(back, a=[-32768, 32767, 1, 0]) == [-16384.0, 16383.5, 0.5, 0.0], "exact"


def test_bounds_by_hand() -> None:
    relu6 = one("RELU6", [HALF], {"scale": 0.25})
    assert codes(relu6, a=[-5, 3, 12, 13]) == [0, 6, 24, 24], "6 is 24 quarters"
    pool = one("RELU", [HALF], {"scale": 0.25})
    assert codes(pool, a=[-5, 3, 32767, 0]) == [0, 6, 32767, 0], "saturated"


def test_differences_and_extremes_by_hand() -> None:
    sub = one("SUB", [HALF, ONE], {"scale": 2.0}, PotScaleInt16=False)
    made = codes(sub, a=[8, 32767, -32768, 1], b=[-6, -32768, 32767, 0])
    assert made == [5, 24576, -24576, 0], "(4 + 6) / 2, (16383.5 + 32768) / 2, ..."
    most = one("MAXIMUM", [HALF, HALF], HALF)
    assert codes(most, a=[-32768, 1, 5, 0], b=[32767, 2, -5, 0]) == [32767, 2, 5, 0], "codes"
    least = one("MINIMUM", [HALF, HALF], HALF)
    assert codes(least, a=[-32768, 1, 5, 0], b=[32767, 2, -5, 0]) == [-32768, 1, -5, 0], "codes"
    far = one("ABS", [HALF], HALF)
    assert codes(far, a=[-32768, -5, 0, 32767]) == [32767, 5, 0, 32767], "saturated"


def test_equal_tables_are_held_once() -> None:
    m = Model()
    x = m.tensor((1, 4), "int16", scale=2.0**-10, name="x")
    made = [m.tensor((1, 4), "int16", scale=2.0**-15) for _ in range(3)]
    for y in made:
        m.op("LOGISTIC", [x], [y])
    g = tflite_graph(m.data([x], made), path="m.tflite")
    assert len(g.constants) == 1, "128 KiB, once"


REFUSED: dict[str, tuple[bytes, str, str]] = {
    "powers of two": (one("ADD", [ONE, ONE], ONE), "xnnpack", "and pot_scale_int16"),
    "no eight": (one("QUANTIZE", [{"dtype": "float32"}], HALF), "xnnpack", "no multiple of eight"),
    "a curve": (
        one("TANH", [{"scale": 2.0**-12}], {"scale": 2.0**-15}), "xnnpack", "optimized kernel is",
    ),
    "a curve's scale": (one("LOGISTIC", [ONE], ONE), "xnnpack", "the output scale 1.0, not 2"),
    "a softmax's scale": (one("SOFTMAX", [ONE], ONE, Beta=1.0), "xnnpack", "the output scale 1.0"),
    "another operator": (one("PRELU", [ONE, ONE], ONE), "xnnpack", "of int16 is not known"),
    "powers of two less": (one("SUB", [ONE, ONE], ONE), "xnnpack", "and pot_scale_int16"),
    "smaller steps": (
        one("SUB", [ONE, {"scale": 0.3}], ONE, PotScaleInt16=False), "xnnpack", "products have tie",
    ),
    "mixed": (one("ADD", [ONE, {"dtype": "int8", "scale": 1.0}], ONE), "xnnpack", "mixes int16"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_known_is_named(case: str) -> None:
    data, tool, message = REFUSED[case]
    with pytest.raises(ModelFileError, match=message):
        tflite_graph(data, path="m.tflite", contract=tool)


def test_the_list_names_operators_of_tflite() -> None:
    assert {"CONV_2D", "SOFTMAX", "MEAN", "PAD"} <= INT16.keys(), "what the how-to says"
