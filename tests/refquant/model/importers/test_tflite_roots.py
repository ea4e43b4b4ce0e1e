"""LOG, SQRT and RSQRT of int8: codes of LiteRT 2.3.0, which all its resolvers share.

Every code of many parameters: outsiders/test_litert_functions.py.
"""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.qparams import QParams
from refquant.model.importers.tflite_model import UnsupportedError
from refquant.model.importers.tflite_roots import (
    inverse_square_root,
    logarithm,
    square_root,
)
from refquant.model.importers.tflite_tables import table_of

CODES = np.array([-128, -100, -75, -64, -50, -41, -40, -39, -20, -1, 0, 1, 17, 64, 100, 127])


def ruler(scale: float, zero_point: int) -> QParams:
    return QParams(np.float32(scale), np.int32(zero_point), None, "int8")


GOLDEN = {  # scale and zero point of the input, scale of the output (zero point -7), LiteRT's codes
    "LOG": (
        (0.037, -40, 0.03),
        [-128, -128, -128, -128, -128, -128, -128, -117, -17, 5, 6, 7, 18, 38, 48, 54],
    ),
    "SQRT": (
        (0.037, -41, 0.012),
        [-7, -7, -7, -7, -7, -7, 9, 15, 66, 94, 95, 96, 115, 127, 127, 127],
    ),
    "RSQRT": (
        (0.037, -41, 0.045),
        [127, 127, 127, 127, 127, 127, 109, 75, 18, 11, 11, 11, 8, 4, 3, 2],
    ),
}


@pytest.mark.parametrize("op", GOLDEN)
@pytest.mark.parametrize("tool", ["tflite_builtin", "tflite_reference"])
def test_codes_are_litert_s(op: str, tool: str) -> None:
    (sx, zx, sy), codes = GOLDEN[op]
    table = table_of(preset(tool), op, ruler(sx, zx), ruler(sy, -7))
    assert table[CODES + 128].tolist() == codes, "and 0 stands for what has no root"


def test_signs_turn_as_bytes_do() -> None:
    table = table_of(preset("tflite_builtin"), "NEG", ruler(0.5, 9), ruler(0.25, -3))
    assert table[[0, 1, 128, 129, 255]].tolist() == [-128, 127, 0, -1, -127], "-128 stays"


def test_one_and_perfect_squares_have_exact_roots() -> None:
    offset = np.array([1, 4, 16, 64, 225], np.int64)
    made = inverse_square_root(offset, ruler(1, 0), ruler(1 / 64, 0)).tolist()
    assert made == [64, 32, 16, 8, 4], "64 / sqrt d: 4.27 is 4"
    assert square_root(offset, ruler(1, 0), ruler(1, 0)).tolist() == [1, 2, 4, 8, 15], "exact"
    assert logarithm(np.array([-1, 0, 1]), ruler(1, 0), ruler(0.5, 100)).tolist() == [
        -128, -128, 100,
    ], "what has no logarithm is the least real"  # fmt: skip


def test_scales_that_litert_cannot_take_are_refused() -> None:
    all_codes = np.arange(256)
    with pytest.raises(UnsupportedError, match="LiteRT overflows"):
        square_root(all_codes, ruler(1e20, 0), ruler(1e-20, 0))
    with pytest.raises(UnsupportedError, match="without an inverse"):
        inverse_square_root(all_codes, ruler(2e-38, 0), ruler(2e-38, 0))
    with pytest.raises(UnsupportedError, match="leave int32"):
        inverse_square_root(all_codes, ruler(1e-10, 0), ruler(1e-10, 0))
