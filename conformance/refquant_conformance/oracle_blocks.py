r"""The exact oracle of block formats: an element of a block of bytes, a byte of a block of floats.

An element is :math:`d\,s\,q - m\,t`, a half times small integers, less another such product. Both
products are exact in float32, so one rounding is left, of their difference. An infinite or missing
half has no fraction; it is multiplied as IEEE 754 says.

References
----------
ggml ``src/ggml-common.h`` (the blocks' structs), ``src/ggml-quants.c`` (``dequantize_row_*`` and
``quantize_row_*_ref``).
"""

import math
import struct
from collections.abc import Sequence
from fractions import Fraction

from refquant_conformance.rational import add, divide, float16, float32, multiply, round_exact

__all__ = ["SIZES", "byte_exact", "element_exact"]

SIZES = {
    **{"q4_0": (32, 18), "q4_1": (32, 20), "q5_0": (32, 22), "q5_1": (32, 24), "q8_0": (32, 34)},
    **{"q2_k": (256, 84), "q3_k": (256, 110), "q4_k": (256, 144), "q5_k": (256, 176)},
    **{"q6_k": (256, 210), "iq4_nl": (32, 18), "iq4_xs": (256, 136), "tq1_0": (256, 54)},
    **{"tq2_0": (256, 66), "mxfp4": (32, 17), "nvfp4": (64, 36)},
}
"""Elements and bytes of a block."""

_NONLINEAR = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
_DOUBLED = (0, 1, 2, 3, 4, 6, 8, 12)
_Terms = tuple[float, int, float, int]  # d, its integer, m, its integer


def _half(data: bytes, at: int) -> float:
    value: float = struct.unpack_from("<e", data, at)[0]
    return value


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _nibble(data: bytes, at: int, i: int, half: int, pairs: bool) -> int:
    """Return nibble i of a block: the halves of the block, or neighbours, share a byte."""
    if pairs:
        return data[at + i // 2] >> 4 * (i % 2) & 15
    return data[at + i % half] >> 4 * (i // half) & 15


def _legacy(name: str, data: bytes, i: int, pairs: bool) -> _Terms:
    d = _half(data, 0)
    if name == "q8_0":
        return d, _signed(data[2 + i]), 0.0, 0
    if name == "iq4_nl":
        return d, _NONLINEAR[_nibble(data, 2, i, 16, pairs)], 0.0, 0
    minimum = name.endswith("1")
    at = 4 if minimum else 2
    fifth, extra = 0, name.startswith("q5")
    if extra:
        (word,) = struct.unpack_from("<I", data, at)
        fifth, at = (word >> i & 1) << 4, at + 4
    q = _nibble(data, at, i, 16, pairs) + fifth
    if minimum:
        return d, q, _half(data, 2), -1
    return d, q - (16 if extra else 8), 0.0, 0


def _pair(scales: bytes, s: int) -> tuple[int, int]:
    """Return scale and minimum of sub-block s, of the twelve bytes of Q4_K and Q5_K."""
    if s < 4:
        return scales[s] & 63, scales[s + 4] & 63
    low = scales[s + 4]
    return (low & 15) | scales[s - 4] >> 6 << 4, low >> 4 | scales[s] >> 6 << 4


def _large(name: str, data: bytes, i: int) -> _Terms:
    n, j, column = i // 128, i % 128 // 32, i % 32
    s = 8 * n + 2 * j + column // 16
    if name == "q2_k":
        q = data[16 + 32 * n + column] >> 2 * j & 3
        return _half(data, 80), (data[s] & 15) * q, _half(data, 82), data[s] >> 4
    if name == "q3_k":
        scales = data[96:108]
        low = scales[s % 8] >> 4 * (s // 8) & 15
        scale = (low | (scales[8 + s % 4] >> 2 * (s // 4) & 3) << 4) - 32
        q = data[32 + 32 * n + column] >> 2 * j & 3
        top = data[column] >> (4 * n + j) & 1
        return _half(data, 108), scale * (q - 4 * (1 - top)), 0.0, 0
    if name == "q6_k":
        low = data[64 * n + column + 32 * (j % 2)] >> 4 * (j // 2) & 15
        q = (low | (data[128 + 32 * n + column] >> 2 * j & 3) << 4) - 32
        return _half(data, 208), _signed(data[192 + s]) * q, 0.0, 0
    chunk, nibble = i // 64, i % 64 // 32
    scale, minimum = _pair(data[4:16], i // 32)
    at = 16 if name == "q4_k" else 48
    q = data[at + 32 * chunk + column] >> 4 * nibble & 15
    if name == "q5_k":
        q += (data[16 + column] >> (2 * chunk + nibble) & 1) << 4
    return _half(data, 0), scale * q, _half(data, 2), minimum


def _other(name: str, data: bytes, i: int, pairs: bool) -> _Terms:
    if name == "iq4_xs":
        block, k = i // 32, i % 32
        (high,) = struct.unpack_from("<H", data, 2)
        low = data[4 + block // 2] >> 4 * (block % 2) & 15
        scale = (low | (high >> 2 * block & 3) << 4) - 32
        return _half(data, 0), scale * _NONLINEAR[_nibble(data, 8 + 16 * block, k, 16, False)], 0, 0
    if name == "tq2_0":
        n, j, column = i // 128, i % 128 // 32, i % 32
        return _half(data, 64), (data[32 * n + column] >> 2 * j & 3) - 1, 0.0, 0
    if name == "tq1_0":
        power, byte = (i // 32, i % 32) if i < 160 else ((i - 160) // 16, 32 + (i - 160) % 16)
        if i >= 240:
            power, byte = (i - 240) // 4, 48 + (i - 240) % 4
        digit = (data[byte] * 3**power % 256) * 3 // 256
        return _half(data, 52), digit - 1, 0.0, 0
    if name == "mxfp4":
        code = _nibble(data, 1, i, 16, pairs)
        return 2.0 ** (data[0] - 128), _DOUBLED[code & 7] * (-1) ** (code >> 3), 0.0, 0
    block, k = i // 16, i % 16
    code = _nibble(data, 4 + 8 * block, k, 8, False)
    byte = data[block]
    exponent, mantissa = byte >> 3 & 15, byte & 7
    scale = math.ldexp(mantissa, -9) if exponent == 0 else math.ldexp(8 + mantissa, exponent - 10)
    scale = 0.0 if byte in (0, 0x7F) else scale
    return scale / 2, _DOUBLED[code & 7] * (-1) ** (code >> 3), 0.0, 0


def element_exact(name: str, data: bytes, index: int, *, pairs: bool = False) -> float:
    """Return element ``index`` of a row of blocks; ``pairs`` reads nibbles of neighbours.

    >>> element_exact("q4_0", bytes([0, 60]) + bytes([0x9F] * 16), 0)
    7.0
    """
    elements, size = SIZES[name]
    block, i = divmod(index, elements)
    own = data[size * block : size * (block + 1)]
    if name in ("q2_k", "q3_k", "q4_k", "q5_k", "q6_k"):
        d, a, m, b = _large(name, own, i)
    elif name.startswith("q") or name == "iq4_nl":
        d, a, m, b = _legacy(name, own, i, pairs)
    else:
        d, a, m, b = _other(name, own, i, pairs)
    if not (math.isfinite(d) and math.isfinite(m)):
        return d * a - m * b if b else d * a
    return float32(Fraction(d) * a - Fraction(m) * b)


def byte_exact(name: str, x: Sequence[float], index: int, *, way: str) -> int:
    """Return byte ``index`` of the blocks of a row: Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0.

    ``way`` is ``separate`` or ``fused`` (one rounding of product and sum); of Q8_0 the flavour.

    >>> byte_exact("q8_0", [127.0] + [0.5] * 31, 3, way="reference")
    1
    """
    elements, size = SIZES[name]
    block, at = divmod(index, size)
    own = list(x[elements * block : elements * (block + 1)])
    if name == "q8_0":
        return _q8(own, way)[at]
    bits = int(name[1])
    qmax = 2**bits - 1
    if name.endswith("1"):
        low = min(own)
        d = divide(add(max(own), -low), float(qmax))
        head = struct.pack("<ee", float16(Fraction(d)), float16(Fraction(low)))
        shifted, offset = [add(v, -low) for v in own], 0.5
    else:
        extreme = max(own, key=abs)
        d = divide(extreme, -float(2 ** (bits - 1)))
        head = struct.pack("<e", -0.0 if d == 0 else float16(Fraction(d)))
        shifted, offset = own, 2 ** (bits - 1) + 0.5
    inverse = divide(1.0, d) if d else 0.0
    codes = []
    for v in shifted:
        if way == "fused":
            total = float32(Fraction(v) * Fraction(inverse) + Fraction(offset))
        else:
            total = add(multiply(v, inverse), offset)
        codes.append(min(qmax, math.trunc(total)))
    if bits == 5:
        head += struct.pack("<I", sum((code >> 4) << i for i, code in enumerate(codes)))
    low4 = [code & 15 for code in codes]
    return (head + bytes(low4[j] | low4[j + 16] << 4 for j in range(16)))[at]


def _q8(own: list[float], way: str) -> bytes:
    largest = max(abs(v) for v in own)
    d = divide(largest, 127.0)
    inverse = 0.0
    if largest:
        inverse = divide(127.0, largest) if way == "avx2" else divide(1.0, d)
    rule = {"reference": "half_away", "wasm": "toward_zero"}.get(way, "half_even")
    codes = [round_exact(Fraction(multiply(v, inverse)), rule) for v in own]
    return struct.pack("<e32b", float16(Fraction(d)), *codes)
