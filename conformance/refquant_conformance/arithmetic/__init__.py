"""The arithmetics by operator and scheme; one file a family."""

from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.arithmetic.blocks import DECODED, ENCODED
from refquant_conformance.arithmetic.cast import CASTS
from refquant_conformance.arithmetic.codebooks import CODEBOOKS
from refquant_conformance.arithmetic.concat import QLINEAR_CONCAT
from refquant_conformance.arithmetic.conv import QLINEAR_CONV, QLINEAR_DEPTHWISE_CONV
from refquant_conformance.arithmetic.decode import DECODE
from refquant_conformance.arithmetic.dequantize import DEQUANTIZE
from refquant_conformance.arithmetic.dynamic_quantize import DYNAMIC
from refquant_conformance.arithmetic.elementwise import QLINEAR_ADD, QLINEAR_MUL
from refquant_conformance.arithmetic.layer_norm import LAYER_NORM
from refquant_conformance.arithmetic.layers import LAYERS
from refquant_conformance.arithmetic.matmul import MATMUL_INTEGER, QLINEAR_MATMUL
from refquant_conformance.arithmetic.matmul_nbits import MATMUL_NBITS
from refquant_conformance.arithmetic.movement import MAX_POOL, MOVE
from refquant_conformance.arithmetic.packing import PACKING
from refquant_conformance.arithmetic.parameters import ASYMMETRIC, SYMMETRIC
from refquant_conformance.arithmetic.pools import QLINEAR_AVERAGE_POOL, QLINEAR_MEAN
from refquant_conformance.arithmetic.quantize import QUANTIZE
from refquant_conformance.arithmetic.quantize_f16 import QUANTIZE_F16
from refquant_conformance.arithmetic.recurrent import GRU, LSTM
from refquant_conformance.arithmetic.resize import RESIZE_BILINEAR, RESIZE_NEAREST
from refquant_conformance.arithmetic.softmax import QLINEAR_SOFTMAX
from refquant_conformance.arithmetic.unary import (
    QLINEAR_LEAKY_RELU,
    QLINEAR_SIGMOID,
    QLINEAR_TANH,
)
from refquant_conformance.arithmetic.wide_matmul import WIDE_MATMUL

__all__ = ["ARITHMETICS", "Arithmetic", "Axes", "Outputs", "arithmetic_of"]

ARITHMETICS: tuple[Arithmetic, ...] = (
    *(QUANTIZE, QUANTIZE_F16, DEQUANTIZE, DYNAMIC),
    *(SYMMETRIC, ASYMMETRIC, MATMUL_INTEGER, QLINEAR_MATMUL),
    *(QLINEAR_CONV, QLINEAR_DEPTHWISE_CONV, QLINEAR_ADD, QLINEAR_MUL),
    *(QLINEAR_AVERAGE_POOL, QLINEAR_MEAN, QLINEAR_SIGMOID, QLINEAR_TANH, QLINEAR_LEAKY_RELU),
    QLINEAR_SOFTMAX,
    *(QLINEAR_CONCAT, MAX_POOL, MOVE, MATMUL_NBITS),
    *(RESIZE_NEAREST, RESIZE_BILINEAR, LAYER_NORM, LSTM, GRU),
    *(*LAYERS, CODEBOOKS, WIDE_MATMUL),
    *(*CASTS, DECODE, *PACKING, *DECODED, *ENCODED),
)
"""Every family that backends are held against."""


def arithmetic_of(op: str, scheme: str) -> Arithmetic | None:
    """Return the family of a cell; None if the judge has no yardstick for it.

    >>> arithmetic_of("quantize_linear", "f32_u8").op
    'quantize_linear'
    """
    for arithmetic in ARITHMETICS:
        if arithmetic.op == op and scheme in arithmetic.schemes:
            return arithmetic
    return None
