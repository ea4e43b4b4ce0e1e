"""Functions of int8 in fixed point, against the codes of LiteRT 2.3.0 on x86 (every 17th of 256,
and the sum of all, each times its place), with and without XNNPACK.
"""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.qparams import QParams
from refquant.model.graph import Quant
from refquant.model.importers.tflite import tflite_graph
from refquant.model.importers.tflite_fixed import need_odd_products, takes_leaky_relu
from refquant.model.importers.tflite_model import UnsupportedError
from refquant.model.importers.tflite_tables import table_of
from tests.refquant.model.importers.tflite_bytes import Model

FINE, COARSE = (0.05, -12, 0.03, -100), (0.11, 40, 0.07, 3)  # scale, zero point of x, y
TIED = (0.3018798828125, 20, 0.0672607421875, 5)  # a negative product halfway, which goes up
Ruler = tuple[float, int, float, int]
BOTH = ("tflite_builtin", "tflite_reference")
GOLDEN: list[tuple[str, float, Ruler, tuple[str, ...], list[int], int]] = [
    ("HARD_SWISH", 0, FINE, BOTH,
     [-100, -100, -100, -100, -108, -112, -109, -97, -78, -50, -15, 18, 47, 75, 103, 127], -1830),
    ("HARD_SWISH", 0, COARSE, BOTH,
     [3, 3, 3, 3, 3, 3, 3, 3, 3, -2, 5, 28, 60, 86, 113, 127], 1418954),
    ("HARD_SWISH", 0, TIED, BOTH,
     [5, 5, 5, 5, 5, 5, 5, 5, 5, 22, 104, 127, 127, 127, 127, 127], 2550292),
    ("ABS", 0, FINE, BOTH,
     [93, 65, 37, 8, -20, -48, -77, -95, -67, -38, -10, 18, 47, 75, 103, 127], 558544),
    ("ABS", 0, COARSE, BOTH,
     [127, 127, 127, 127, 127, 127, 107, 80, 53, 27, 6, 33, 60, 86, 113, 127], 2524296),
    ("RELU_N1_TO_1", 0, FINE, BOTH,
     [-128, -128, -128, -128, -128, -128, -123, -95, *[-67] * 8], -2635712),
    ("RELU_N1_TO_1", 0, COARSE, BOTH, [*[-11] * 10, 6, 17, 17, 17, 17, 17], 159014),
    ("LEAKY_RELU", 0.3, FINE, ("xnnpack",),
     [-128, -128, -128, -128, -124, -115, -107, -95, -67, -38, -10, 18, 47, 75, 103, 127], 1113),
    ("LEAKY_RELU", 0.3, FINE, BOTH,
     [-128, -128, -128, -128, -124, -116, -107, -95, -67, -38, -10, 18, 47, 75, 103, 127], -2123),
    ("LEAKY_RELU", -0.3, COARSE, ("xnnpack",),
     [82, 74, 66, 58, 50, 42, 34, 26, 18, 10, 6, 33, 60, 86, 113, 127], 1831289),
    ("LEAKY_RELU", -0.3, COARSE, BOTH,
     [82, 74, 66, 58, 50, 42, 34, 26, 18, 10, 6, 33, 60, 86, 113, 127], 1834458),
    ("ELU", 0, FINE, ("xnnpack", "tflite_builtin"),
     [-128, -128, -128, -128, -128, -126, -117, -95, -67, -38, -10, 18, 47, 75, 103, 127], -39172),
    ("GELU", 0, FINE, BOTH,
     [-100, -100, -100, -100, -101, -103, -106, -97, -72, -40, -10, 18, 47, 75, 103, 127], 75131),
    ("EXP", 0, COARSE, BOTH,
     [3, 3, 3, 3, 3, 3, 3, 3, 3, 6, 21, 118, 127, 127, 127, 127], 2172881),
]  # fmt: skip


def ruler(scale: float, zero_point: int) -> QParams:
    return QParams(np.float32(scale), np.int32(zero_point), None, "int8")


@pytest.mark.parametrize("entry", GOLDEN, ids=lambda e: f"{e[0]} {e[1]} {e[3][0]} {e[2][0]}")
def test_golden_codes(entry: tuple[str, float, Ruler, tuple[str, ...], list[int], int]) -> None:
    op, alpha, (sx, zx, sy, zy), contracts, codes, total = entry
    for name in contracts:
        table = table_of(
            preset(name), op, ruler(sx, zx), ruler(sy, zy), alpha=alpha, tanh=op == "GELU"
        )
        assert table[::17].tolist() == codes, f"{name}: bit for bit"
        assert int(table.astype(int) @ np.arange(1, 257)) == total, f"{name}: all of them"


def test_absolute_of_equal_scales_is_no_product() -> None:
    table = table_of(preset("tflite_builtin"), "ABS", ruler(0.3, 10), ruler(0.3, -128))
    expected = [min(abs(q - 10) - 128, 127) for q in range(-128, 128)]
    assert table.tolist() == expected, "|d| + z'"


@pytest.mark.parametrize(
    ("x", "y", "alpha"), [(1.0, 300.0, 0.5), (130.0, 1.0, 0.1), (1.0, 1.0, 1e-3), (1.0, 1.0, -129)]
)
def test_what_xnnpack_gives_back(x: float, y: float, alpha: float) -> None:
    assert not takes_leaky_relu(np.float32(alpha), ruler(x, 0), ruler(y, 0)), "beyond 8 bits"


def test_a_leaky_relu_that_xnnpack_gives_back_is_the_builtin_kernel_s() -> None:
    m = Model()
    a = m.tensor((1, 256), scale=0.05, zero_point=0, name="x")
    b = m.tensor((1, 256), scale=0.05, zero_point=0, name="y")
    m.op("LEAKY_RELU", [a], [b], Alpha=0.001)
    graph = tflite_graph(m.data([a], [b]), path="net")
    assert graph.nodes[0].contract == "tflite_builtin", "LiteRT's own"


def test_hard_swish_shifts_right_only() -> None:
    with pytest.raises(UnsupportedError, match="below 1/128 of its input's"):
        table_of(preset("tflite_builtin"), "HARD_SWISH", ruler(1, 0), ruler(1 / 300, 0))


def test_a_subtraction_with_ties_is_not_an_addition() -> None:
    """M(-v) is -M(v) + 1 for a product halfway: found among random scales."""
    tied = Quant(0.029839858412742615, 0), Quant(0.00504892086610198, 0)
    with pytest.raises(UnsupportedError, match="whose products have ties; import it for xnnpack"):
        need_odd_products(*tied)
    need_odd_products(*tied[::-1])  # the larger scale has the multiplier 1/2: exact
