r"""Code ranges: which integers a code may be.

With b bits the codes are

.. math::

    \text{unsigned: } 0 \ldots 2^b - 1, \qquad
    \text{signed: } -2^{b-1} \ldots 2^{b-1} - 1                                 \tag{1}

and a *narrow* range gives up one code at the bottom of a signed range, so that it becomes
symmetric (int8: -127..127), or at the top of an unsigned one (QONNX: 0..2**b - 2).
What the lost code buys: -q exists for every q, and the sum of two products of int8 codes stays
in int16 (2 * 128 * 127 = 32 512, where 2 * 128 * 128 = 32 768 does not).
A narrow range needs two bits, otherwise nothing is left.

References
----------
ONNX ``QuantizeLinear`` (full ranges); LiteRT 8-bit specification (narrow int8 weights);
QONNX ``IntQuant`` (narrow, unsigned).
"""

import re

__all__ = ["code_range", "dtype_range"]


def code_range(*, num_bits: int, signed: bool, narrow: bool = False) -> tuple[int, int]:
    """Return ``(qmin, qmax)`` for 1 to 16 bits: eq. (1).

    >>> code_range(num_bits=8, signed=True), code_range(num_bits=4, signed=False)
    ((-128, 127), (0, 15))
    >>> code_range(num_bits=8, signed=True, narrow=True)
    (-127, 127)
    """
    if not 1 <= num_bits <= 16:
        raise ValueError(f"num_bits must be in 1..16, got {num_bits}")
    if narrow and num_bits == 1:
        raise ValueError("narrow needs num_bits >= 2, got 1")
    if signed:
        return -(1 << (num_bits - 1)) + narrow, (1 << (num_bits - 1)) - 1
    return 0, (1 << num_bits) - 1 - narrow


def dtype_range(dtype: str) -> tuple[int, int]:
    """Return ``(qmin, qmax)``, the full range of a code dtype by name: ``int4``, ``uint8``, ...

    >>> dtype_range("int4"), dtype_range("uint8"), dtype_range("int16")
    ((-8, 7), (0, 255), (-32768, 32767))
    """
    match = re.fullmatch(r"(u?)int([1-9]|1[0-6])", dtype)
    if match is None:
        raise ValueError(f"dtype must be int1..int16 or uint1..uint16, got {dtype!r}")
    return code_range(num_bits=int(match[2]), signed=not match[1])
