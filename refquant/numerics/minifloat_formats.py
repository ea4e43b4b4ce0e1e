r"""Small floats as data: fifteen formats, each one line of a table.

A format cuts a code into a sign S, an exponent field E and a mantissa M of m bits. With the bias b,
a code means

.. math::

    (-1)^S \cdot 2^{E - b} \cdot (1 + M / 2^m)  \quad &\text{if } E > 0 \tag{1} \\
    (-1)^S \cdot 2^{1 - b} \cdot (M / 2^m)      \quad &\text{if } E = 0 \text{: subnormal} \tag{2}

except for the codes that the format reserves. Four ways to write NaN are in use:

* ``ieee``: E all ones and M > 0; E all ones and M = 0 is an infinity;
* ``all_ones``: E and M all ones, the last code only (names in *FN*: finite, with NaN);
* ``negative_zero``: the code of -0, which then does not exist (names in *FNUZ*: unsigned zero);
* ``none``: every code is a number.

E8M0 has no mantissa and no zero: for it, eq. (1) holds for E = 0 too. Left out: IEEE P3109, whose
formats have an infinity *and* ``negative_zero``.

References
----------
OCP 8-bit Floating Point Specification 1.0 (E4M3 = ``E4M3FN``, E5M2); OCP Microscaling Formats 1.0,
section 5.3 (FP6, FP4, E8M0); LLVM ``APFloat.h`` (the FNUZ formats, E3M4, ``Float8E5M3FNU`` =
``UE5M3``, and the suffixes); AutoRound ``data_type/nvfp.py`` (UE5M3: bias 15, 0xFF is NaN); PTX
ISA, ``ue4m3``; IEEE 754-2019, section 3.4 (binary16).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["E8M0_ROUND_MODES", "FLOAT_FORMATS", "NAN_ENCODINGS", "FloatFormat", "float_format"]

NAN_ENCODINGS = ("ieee", "all_ones", "negative_zero", "none")


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """The layout of a float of at most 16 bits; every value of it is a float32.

    ``sign_bits`` is 0 or 1; ``nan`` is one of ``NAN_ENCODINGS``. A *magnitude* is a code without
    its sign: magnitudes are in the order of what they mean.

    >>> e4m3 = FloatFormat("e4m3fn", 1, 4, 3, 7, has_inf=False, nan="all_ones", negative_zero=True)
    >>> e4m3 == FLOAT_FORMATS["e4m3fn"]
    True
    >>> e4m3.max_value, e4m3.min_normal, e4m3.min_positive, hex(e4m3.nan_code)
    (448.0, 0.015625, 0.001953125, '0x7f')
    """

    name: str
    sign_bits: int
    exponent_bits: int
    mantissa_bits: int
    bias: int
    has_inf: bool
    nan: str
    negative_zero: bool
    has_subnormals: bool = True

    def __post_init__(self) -> None:
        """Refuse a layout that contradicts itself, or holds values that float32 does not."""
        if self.nan not in NAN_ENCODINGS:
            raise ValueError(f"nan must be one of {', '.join(NAN_ENCODINGS)}; got {self.nan!r}")
        if self.sign_bits not in (0, 1) or self.exponent_bits < 1 or self.mantissa_bits < 0:
            raise ValueError(
                f"sign_bits must be 0 or 1, exponent_bits >= 1, mantissa_bits >= 0; got "
                f"{self.sign_bits}, {self.exponent_bits}, {self.mantissa_bits}"
            )
        if self.num_bits > 16:
            raise ValueError(f"a format has at most 16 bits, got {self.num_bits}")
        if self.has_inf != (self.nan == "ieee"):
            raise ValueError(f"has_inf goes with nan='ieee', got {self.has_inf} and {self.nan!r}")
        if self.has_inf and not (self.sign_bits and self.mantissa_bits):
            raise ValueError("nan='ieee' needs a sign and a mantissa")
        if self.negative_zero != (self.sign_bits == 1 and self.nan != "negative_zero"):
            raise ValueError(f"negative_zero={self.negative_zero} contradicts sign and NaN")
        if self.nan == "negative_zero" and not self.sign_bits:
            raise ValueError("nan='negative_zero' needs a sign")
        if not self.has_subnormals and self.sign_bits:
            raise ValueError("a format without zero must be unsigned")
        top = (self.max_code >> self.mantissa_bits) - self.bias
        if top > 127 or self.min_exponent - self.mantissa_bits < -149:
            raise ValueError(f"values must be float32 numbers; bias {self.bias} leads outside")

    @property
    def num_bits(self) -> int:
        """Width of a code."""
        return self.sign_bits + self.exponent_bits + self.mantissa_bits

    @property
    def min_exponent(self) -> int:
        """Exponent of the smallest normal number: 1 - b, and -b without subnormals."""
        return int(self.has_subnormals) - self.bias

    @property
    def max_code(self) -> int:
        """Magnitude of the largest finite number."""
        magnitudes: int = 1 << (self.exponent_bits + self.mantissa_bits)
        reserved = {"ieee": 1 << self.mantissa_bits, "all_ones": 1}.get(self.nan, 0)
        return magnitudes - reserved - 1

    @property
    def inf_code(self) -> int | None:
        """Code of plus infinity."""
        return self.max_code + 1 if self.has_inf else None

    @property
    def nan_code(self) -> int | None:
        """Code of the NaN that ``encode`` writes: quiet, without payload; None if there is none."""
        if self.nan == "none":
            return None
        if self.nan == "negative_zero":
            return 1 << (self.num_bits - 1)
        quiet = 1 << (self.mantissa_bits - 1) if self.nan == "ieee" else 0
        return self.max_code + 1 + quiet

    @property
    def max_value(self) -> float:
        """Largest finite number."""
        field, mantissa = divmod(self.max_code, 1 << self.mantissa_bits)
        exponent = field - self.bias - self.mantissa_bits
        return math.ldexp((1 << self.mantissa_bits) + mantissa, exponent)

    @property
    def min_normal(self) -> float:
        """Smallest positive number of full precision."""
        return math.ldexp(1.0, self.min_exponent)

    @property
    def min_positive(self) -> float:
        """Smallest positive number: subnormal, if the format has subnormals."""
        return math.ldexp(1.0, self.min_exponent - self.mantissa_bits * self.has_subnormals)


def _row(name: str, bits: tuple[int, int, int], bias: int, nan: str) -> FloatFormat:
    """One line of the table below; what follows from the rest is filled in."""
    return FloatFormat(
        name,
        *bits,
        bias,
        has_inf=nan == "ieee",
        nan=nan,
        negative_zero=bits[0] == 1 and nan != "negative_zero",
        has_subnormals=name != "e8m0",
    )


FLOAT_FORMATS: Mapping[str, FloatFormat] = MappingProxyType(
    {
        row.name: row
        for row in (
            # name, (sign, exponent, mantissa) bits, bias, NaN: largest number, who
            _row("e4m3fn", (1, 4, 3), 7, "all_ones"),  # 448: OCP FP8, ONNX, torch
            _row("e4m3fnuz", (1, 4, 3), 8, "negative_zero"),  # 240: AMD MI300
            _row("e5m2", (1, 5, 2), 15, "ieee"),  # 57344: OCP FP8
            _row("e5m2fnuz", (1, 5, 2), 16, "negative_zero"),  # 57344: AMD MI300
            _row("e4m3", (1, 4, 3), 7, "ieee"),  # 240: XLA
            _row("e3m4", (1, 3, 4), 3, "ieee"),  # 15.5: XLA
            _row("e4m3b11fnuz", (1, 4, 3), 11, "negative_zero"),  # 30: XLA
            _row("e3m2", (1, 3, 2), 3, "none"),  # 28: MXFP6
            _row("e2m3", (1, 2, 3), 1, "none"),  # 7.5: MXFP6
            _row("e2m1", (1, 2, 1), 1, "none"),  # 6: MXFP4, NVFP4
            _row("e8m0", (0, 8, 0), 127, "all_ones"),  # 2^127: scales of MX
            _row("ue4m3", (0, 4, 3), 7, "all_ones"),  # 448: scales of NVFP4; 7 bits of a byte
            _row("ue5m3", (0, 5, 3), 15, "all_ones"),  # 114688: scales of NVFP4 variants
            _row("bf16", (1, 8, 7), 127, "ieee"),  # the upper half of a float32
            _row("fp16", (1, 5, 10), 15, "ieee"),  # 65504: IEEE binary16
        )
    }
)

# The rounding of scales, by the names of ONNX Cast-25. Scales are positive: up is away from zero.
E8M0_ROUND_MODES: Mapping[str, str] = MappingProxyType(
    {"up": "ceil", "down": "floor", "nearest": "half_up"}
)


def float_format(name: str) -> FloatFormat:
    """Return the format of that name: a key of ``FLOAT_FORMATS``.

    >>> float_format("e2m1").max_value
    6.0
    """
    if name not in FLOAT_FORMATS:
        raise ValueError(f"format must be one of {', '.join(FLOAT_FORMATS)}; got {name!r}")
    return FLOAT_FORMATS[name]
