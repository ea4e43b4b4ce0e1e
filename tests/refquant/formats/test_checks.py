"""What every decoder asks: codes that exist, and parameters that fit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refquant.formats import apot, bfp, binary, bitnet, bnb_fp4, fp8, llm_int8, log2, mx, nf4, nvfp4
from refquant.formats.absmax_blocks import Blockwise
from refquant.formats.block_float import BlockFloat
from refquant.formats.checks import (
    code_array,
    count_of,
    parameter_array,
    scale_bytes,
    tensor_number,
)
from refquant.formats.float_zero_point import FloatZeroPoint
from refquant.formats.float_zero_point import dequantize as hqq
from refquant.formats.palette import Palette, palettize
from refquant.formats.palette import dequantize as depalettize
from refquant.formats.ternary import Ternary
from refquant.formats.ternary import dequantize as deternarize

ONE = np.ones(1, np.float32)
NOTHING = np.zeros(0, np.int64)
BYTES = np.full(1, 127, np.uint8)

# Each decoder with parameters that fit one row of codes, and the first code that does not exist.
DECODERS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "nf4": (lambda k: nf4.dequantize(Blockwise(k, ONE, 64)), 16),
    "bnb_fp4": (lambda k: bnb_fp4.dequantize(Blockwise(k, ONE, 64)), 16),
    "binary": (lambda k: binary.dequantize(binary.Binary(k, ONE)), 2),
    "ternary": (lambda k: deternarize(Ternary(k, ONE)), 2),
    "bitnet": (lambda k: bitnet.dequantize(bitnet.BitNetCodes(k, ONE)), 128),
    "llm_int8": (
        lambda k: llm_int8.dequantize(llm_int8.Int8Rows(np.reshape(k, (1, -1)), ONE, NOTHING)),
        128,
    ),
    "log2": (lambda k: log2.dequantize(k, scale=1.0), 256),
    "apot": (lambda k: apot.dequantize(k, parts=apot.MENUS[2], alpha=1.0), 8),
    "hqq": (lambda k: hqq(FloatZeroPoint(k, ONE, ONE, np.shape(k))), 256),
    "palette": (lambda k: depalettize(Palette(k, np.ones((1, 4), np.float32), 0, 64)), 4),
    "msfp12": (lambda k: bfp.dequantize(BlockFloat("msfp12", k, BYTES, -1)), 16),
    "mxfp4": (lambda k: mx.dequantize(BlockFloat("mxfp4", k, BYTES, -1)), 16),
    "nvfp4": (
        lambda k: nvfp4.dequantize(
            BlockFloat("nvfp4", k, np.full(1, 56, np.uint8), -1, np.float32(1), "modelopt")
        ),
        16,
    ),
    "fp8": (
        lambda k: fp8.dequantize(fp8.ScaledFloat("e4m3fn", k, ONE, (max(1, np.size(k)),))),
        256,
    ),
}


@pytest.mark.parametrize("name", DECODERS)
def test_every_decoder_refuses_codes_that_no_encoder_writes(name: str) -> None:
    """No IndexError, no wrap to the last entry of a table, no other number in silence."""
    decode, beyond = DECODERS[name]
    for good in (np.array([0, 1], np.int64), np.array([0, 1], ">i2"), [0, 1]):
        assert decode(good).shape[-1] == 2, f"{name}: {good!r} are codes"
    bad = (
        np.array([0, beyond], np.int32),
        np.array([-129, 0], np.int32),
        np.array([0.0, 1.0], np.float32),
        np.array([True, False]),
        np.array([1j, 0]),
        np.array(["0", "1"]),
    )
    for codes in bad:
        with pytest.raises(ValueError, match=r"^codes"):
            decode(codes)
    if name not in ("ternary", "bitnet", "llm_int8"):
        with pytest.raises(ValueError, match=r"^codes.*-1"):
            decode(np.array([-1, 0], np.int8))


def test_parameters_have_the_type_and_a_shape_that_fits() -> None:
    codes = np.zeros((2, 3), np.int8)
    for scale in (np.float32(1), np.ones((2, 1), np.float32), np.ones((1, 3), np.float32)):
        assert deternarize(Ternary(codes, scale)).shape == (2, 3), f"{scale!r} fits"  # type: ignore[arg-type]  # a scalar
    for wrong in (1.0, np.ones(3), np.array("1"), None, [[1.0], [2.0, 3.0]]):
        with pytest.raises(ValueError, match=r"^scale must be"):
            parameter_array(wrong, name="scale", shape=(2, 3))  # type: ignore[arg-type]
    for shape in ((2,), (4, 1), (1, 2, 3)):
        with pytest.raises(ValueError, match="scale must broadcast against codes of shape"):
            parameter_array(np.ones(shape, np.float32), name="scale", shape=(2, 3))


def test_rows_of_different_lengths_are_named() -> None:
    with pytest.raises(ValueError, match="codes must be an array of integers"):
        code_array([[1, 2], [3]], low=0, high=3)
    assert code_array([], low=0, high=3).shape == (0,), "no codes are codes"


def test_a_block_larger_than_the_tensor_takes_no_more_memory_than_the_tensor() -> None:
    x = np.array([1, -2], np.float32)
    q = nf4.quantize(x, block_size=2**40, flavour="ort")
    assert nf4.dequantize(q).tolist()[1] == -2.0, "the extreme of a block is exact"


def test_numbers_of_a_tensor() -> None:
    wrong: tuple[Any, ...] = (np.nan, -1.0, "1", None, {}, 1j, [1.0, 2.0], True)
    for bad in wrong:
        with pytest.raises(ValueError, match=r"^tensor_scale must be one real number"):
            tensor_number(bad, name="tensor_scale")
    for good in (0, 0.5, np.float32(np.inf), np.array([2.0])):
        assert tensor_number(good, name="g") == np.reshape(good, -1)[0], f"{good!r} is one"
    for size in (0, -1, 1.0, "64", True, None, np.array([64])):
        with pytest.raises(ValueError, match="block_size must be an integer of at least 1"):
            count_of(size, name="block_size")
    with pytest.raises(ValueError, match=r"scales must be uint8 of shape \(2,\), got int64 \(1,\)"):
        scale_bytes([127], shape=(2,))


def test_what_no_encoder_writes_decodes_without_a_warning() -> None:
    """An inverse scale of zero, an infinite scale, a signalling NaN: IEEE's answers."""
    codes = np.array([0, 1], np.int8)
    zero, infinite = np.zeros(1, np.float32), np.full(1, np.inf, np.float32)
    got = bitnet.dequantize(bitnet.BitNetCodes(codes, zero))
    assert str(got.tolist()) == "[nan, inf]", "0 / 0 and 1 / 0"
    got = deternarize(Ternary(codes, infinite))
    assert str(got.tolist()) == "[nan, inf]", "0 * inf and inf"
    signalling = np.array([0x7F800001], np.uint32).view(np.float32)
    got = binary.dequantize(binary.Binary(codes.view(np.uint8), signalling))
    assert np.isnan(got).all(), f"NaN: {got}"


def test_options_of_another_type_are_refused() -> None:
    for num_bits, group_size in (("2", 1), (2.5, 1), (0, 1), (9, 1), (2, 0), (2, 1.0)):
        with pytest.raises(ValueError, match=r"^(num_bits|group_size) must be"):
            palettize(ONE, num_bits=num_bits, method="lloyd", axis=0, group_size=group_size)  # type: ignore[arg-type]
    for scale in (np.nan, 0.0, -1.0, np.inf):
        with pytest.raises(ValueError, match="scale must be a positive finite float32"):
            log2.dequantize(np.zeros(1, np.uint8), scale=scale)


def test_a_mean_that_is_none_is_refused() -> None:
    for mean in (np.nan, -1.0, "1", 1j, [1.0, 2.0]):
        with pytest.raises(ValueError, match="mean must be one real number of at least 0"):
            bitnet.quantize_weights(ONE, mean=mean)  # type: ignore[arg-type]
