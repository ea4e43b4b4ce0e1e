r"""The plain types of ggml: one element after another, little-endian, no block.

LAYOUT::

      F32  s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm    4 bytes, low byte first
      BF16 s eeeeeeee mmmmmmm                    2 bytes: the upper half of a float32
      F16  s eeeee mmmmmmmmmm                    2 bytes: IEEE binary16
      F64, I8, I16, I32, I64                     IEEE binary64, two's complement

BF16 is float32 without its lower 16 bits, rounded half to even by one integer addition,

.. math::

    b = \lfloor (w + 32767 + (\lfloor w / 2^{16} \rfloor \bmod 2)) / 2^{16} \rfloor       \tag{1}

with w the float32's bits. A carry into the exponent is right: it is the next binade, and after the
last one infinity. NaN is cut off with bit 6 set, which keeps sign and payload, and makes it quiet.
Subnormal numbers stay. F16 is the nearest half; 65520 and above are infinity; a NaN becomes 0x7e00
with its sign (hardware keeps its payload instead).

References
----------
ggml ``src/ggml-impl.h`` (``ggml_compute_fp32_to_bf16``, ``ggml_compute_fp32_to_fp16``).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step, value_steps
from refquant.formats.ggml.blocks import to_half
from refquant.formats.ggml.types import ggml_type

__all__ = ["CARDS", "PLAIN_TYPES", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

# What an array of the type holds, in memory and (little-endian) in bytes.
_MEMORY = {
    "F32": "float32",
    "F16": "float32",
    "BF16": "float32",
    "F64": "float64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
}
PLAIN_TYPES = tuple(_MEMORY)
"""The names of the types of this module."""


def encode(x: NDArray[Any], *, type: str) -> U8:
    """Return ``x`` (..., n) as the bytes of a plain type, uint8 (..., n * bytes): eq. (1) for BF16.

    ``x`` is float32 for F32, F16 and BF16; float64, int8 … int64 for the others, with no silent
    conversion: ``ValueError``. NaN and infinities are values as others are.

    >>> encode(np.array([1.0, -0.0], np.float32), type="F32").tolist()
    [0, 0, 128, 63, 0, 0, 0, 128]
    >>> x = np.array([1 + 2**-8, 1 + 3 * 2**-8, np.nan], np.float32)  # two ties
    >>> [hex(b) for b in encode(x, type="BF16").view("<u2")]
    ['0x3f80', '0x3f82', '0x7fc0']
    """
    name = _checked(type)
    x = np.asarray(x)
    if x.dtype != np.dtype(_MEMORY[name]):
        raise ValueError(f"x must be {_MEMORY[name]} for {name}, got {x.dtype}")
    if x.ndim == 0:
        raise ValueError(f"x must have at least one axis for {name}, got a scalar")
    if name == "F16":
        data = to_half(x)
        unknown = np.isnan(x)
        sign = np.signbit(x[unknown]).astype(np.uint8) << np.uint8(7)
        data[unknown] = np.stack([np.zeros_like(sign), sign | np.uint8(0x7E)], axis=-1)
    else:
        words = _bf16(x) if name == "BF16" else x
        little = words.astype(words.dtype.newbyteorder("<"), copy=False)
        data = np.ascontiguousarray(little)[..., None].view(np.uint8)
    return data.reshape(*x.shape[:-1], ggml_type(name).row_bytes(x.shape[-1]))


def decode(data: U8, *, type: str) -> NDArray[Any]:
    """Return the elements in ``data``, uint8 (..., n * bytes), as an array (..., n), exactly.

    Its dtype is float32 for F32, F16 and BF16, and the type's own for the others.

    >>> decode(np.array([128, 63, 1, 0], np.uint8), type="BF16").tolist()
    [1.0, 9.183549615799121e-41]
    >>> decode(np.array([255, 255, 0, 1], np.uint8), type="I16").tolist()
    [-1, 256]
    """
    name = _checked(type)
    data = np.asarray(data)
    width = ggml_type(name).block_bytes
    if data.dtype != np.uint8:
        raise ValueError(f"data must be uint8, got {data.dtype}")
    if data.ndim == 0 or data.shape[-1] % width:
        raise ValueError(
            f"data: the last axis must be a multiple of {width} bytes, an element of {name}; "
            f"got shape {data.shape}"
        )
    data = np.ascontiguousarray(data)
    if name == "BF16":
        return (data.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
    stored = np.dtype("float16" if name == "F16" else _MEMORY[name]).newbyteorder("<")
    return data.view(stored).astype(_MEMORY[name])


def _checked(type: str) -> str:
    name = ggml_type(type).name
    if name not in _MEMORY:
        raise ValueError(f"type must be one of {', '.join(PLAIN_TYPES)}; got {type!r}")
    return name


def _bf16(x: F32) -> NDArray[np.uint16]:
    """Return the upper halves of float32, rounded: eq. (1)."""
    w = np.ascontiguousarray(x).view(np.uint32)
    top = w >> np.uint32(16)
    carry = np.uint32(0x7FFF) + (top & np.uint32(1))
    with np.errstate(over="ignore"):  # a NaN may wrap; it is replaced
        rounded = (w + carry) >> np.uint32(16)
    return np.where(np.isnan(x), top | np.uint32(64), rounded).astype(np.uint16)


def _card(name: str, *, bits: tuple[int, int, int], title: str, equation: str) -> Card:
    """Return the card of a float type with ``bits`` of sign, exponent and mantissa."""
    width = sum(bits)

    kind = name.removesuffix("_ggml")

    def explain(values: F32) -> Sequence[Step]:
        values = np.asarray(values, np.float32)
        data = encode(values, type=kind)
        words = data.view(f"<u{width // 8}")
        shown = []
        for word in words.tolist():
            text = f"{word:0{width}b}"
            shown.append(f"0b{text[0]}_{text[1 : 1 + bits[1]]}_{text[1 + bits[1] :]}")
        return list(value_steps(values, shown, decode(data, type=kind)))

    return Card(
        name=name,
        title=title,
        bits_per_value=width,
        block_size=1,
        layout=f"{width // 8} bytes, low byte first: sign, {bits[1]} exponent, {bits[2]} mantissa",
        equation=equation,
        source="ggml src/ggml-impl.h",
        explain=explain,
    )


CARDS = (
    _card("f32", bits=(1, 8, 23), title="ggml F32: IEEE binary32", equation="x"),
    _card(
        "f16",
        bits=(1, 5, 10),
        title="ggml F16: IEEE binary16",
        equation="nearest half, ties to even",
    ),
    _card(
        "bf16_ggml",
        bits=(1, 8, 7),
        title="ggml BF16: upper half of a float32",
        equation="ties to even",
    ),
)
