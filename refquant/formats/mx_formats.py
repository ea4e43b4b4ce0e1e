r"""The MX formats and their producers, as data.

A format is an element and a block of 32; what else there is follows from the element: its largest
number M, and with it the largest real of a block with scale X,

.. math::

    \max |\hat{x}| = X \cdot M                                                    \tag{1}

::

    format       element   M         bits a value, with 8/32 of scale
    mxfp8_e4m3   E4M3FN    448       8.25
    mxfp8_e5m2   E5M2      57344     8.25
    mxfp6_e3m2   E3M2      28        6.25
    mxfp6_e2m3   E2M3      7.5       6.25
    mxfp4        E2M1      6         4.25
    mxint8       int8/64   127/64    8.25

A producer is one quantizer of the field: the options of ``mx.quantize`` that reproduce its codes,
read in its source and compared bit by bit. What no option reproduces is a named entry of the tests:

* ``torchao_*`` and the rest store other element codes in a block that is NaN anyway;
* ``modelopt_mxfp4`` writes +0 as -0, and the scale code 0 for a block with NaN or infinity;
  ``modelopt_mxfp8`` does the latter for NaN;
* ``microxcaling`` stores nothing, it returns reals; its MXINT8 is NaN from near 2^128 on, and its
  rounding ``floor`` takes the exponent of an element from a float32 logarithm;
* ``compressed_tensors`` has a NaN scale where ``even`` would round the magnitude to 2^128;
* ``autoround_rceil*`` have NaN where a / M is too small for float32;
* ``mlx_*`` (``mlx.core.quantize`` on a CPU; 0.30 is before the rule was changed) write -0 as +0 in
  MXFP4, and other scales for denormal a / M, infinity and NaN; its fused kernels take ties to even;
* ``qwix`` (of August 2026; release 0.1.8 has ``rceil`` by an inexact logarithm) keeps an infinite
  scale.

References
----------
OCP Microscaling Formats (MX) Specification 1.0, table 1; ``mx_scales`` names the producers' files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from refquant.numerics.minifloat_formats import FloatFormat, float_format

__all__ = ["MX_BLOCK", "MX_FORMATS", "MX_PRODUCERS", "MxFormat", "MxProducer", "mx_format"]

MX_BLOCK = 32


@dataclass(frozen=True, slots=True)
class MxFormat:
    """An MX format: ``element`` names a float format, or is ``int8``.

    >>> MX_FORMATS["mxfp4"].max_value, MX_FORMATS["mxint8"].max_value
    (6.0, 1.984375)
    """

    name: str
    element: str
    num_bits: int
    mantissa_bits: int
    max_value: float

    @property
    def float_element(self) -> FloatFormat | None:
        """The float format of the elements; None for integers."""
        return None if self.element == "int8" else float_format(self.element)


def _float_row(name: str, element: str) -> MxFormat:
    form = float_format(element)
    return MxFormat(name, element, form.num_bits, form.mantissa_bits, form.max_value)


MX_FORMATS: Mapping[str, MxFormat] = MappingProxyType(
    {
        row.name: row
        for row in (
            _float_row("mxfp8_e4m3", "e4m3fn"),
            _float_row("mxfp8_e5m2", "e5m2"),
            _float_row("mxfp6_e3m2", "e3m2"),
            _float_row("mxfp6_e2m3", "e2m3"),
            _float_row("mxfp4", "e2m1"),
            MxFormat("mxint8", "int8", 8, 6, 127 / 64),
        )
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MxProducer:
    """How one quantizer chooses scales and rounds: the options of ``quantize``."""

    scale_rule: str
    rounding: str = "half_even"
    log2: str = "exact"
    even_bits: int | None = None
    zero_v: float = 0.0
    infinity: str = "nan"
    smallest_divisor: float = 2.0**-127
    tail: str = "error"


_TORCHAO = MxProducer(scale_rule="floor", infinity="saturate", smallest_divisor=2.0**-126)
_AUTOROUND = MxProducer(scale_rule="floor", log2="float32", zero_v=2.0, tail="pad")
MX_PRODUCERS: Mapping[str, MxProducer] = MappingProxyType(
    {
        "ocp": MxProducer(scale_rule="floor"),
        "microxcaling": MxProducer(
            scale_rule="floor", rounding="half_away", log2="float32", tail="pad"
        ),
        "torchao_floor": _TORCHAO,
        "torchao_ceil": replace(_TORCHAO, scale_rule="ceil"),
        "torchao_even": replace(_TORCHAO, scale_rule="even"),
        "torchao_rceil": MxProducer(
            scale_rule="rceil", log2="float32", infinity="saturate", smallest_divisor=1.0
        ),
        "modelopt_mxfp4": MxProducer(
            scale_rule="rceil", rounding="half_toward_zero", log2="float32"
        ),
        "modelopt_mxfp8": MxProducer(
            scale_rule="rceil", log2="float32", infinity="saturate", tail="pad"
        ),
        "compressed_tensors": MxProducer(scale_rule="even", even_bits=1),
        "compressed_tensors_mxfp6": MxProducer(scale_rule="even", even_bits=3),
        "autoround": _AUTOROUND,
        "autoround_rceil": replace(_AUTOROUND, scale_rule="rceil"),
        "autoround_rceil_v2": replace(_AUTOROUND, scale_rule="rceil_v2"),
        "mlx_mxfp4": MxProducer(scale_rule="rceil", rounding="half_toward_zero", zero_v=1.0),
        "mlx_mxfp8": MxProducer(scale_rule="rceil", zero_v=1.0),
        "mlx_0_30_mxfp4": MxProducer(
            scale_rule="round", rounding="half_toward_zero", log2="float32", zero_v=1.0
        ),
        "mlx_0_30_mxfp8": MxProducer(scale_rule="round", log2="float32", zero_v=1.0),
        "qwix": MxProducer(scale_rule="oas"),
    }
)


def mx_format(name: str) -> MxFormat:
    """Return the format of that name: a key of ``MX_FORMATS``.

    >>> mx_format("mxfp6_e3m2").element
    'e3m2'
    """
    if name not in MX_FORMATS:
        raise ValueError(f"format must be one of {', '.join(MX_FORMATS)}; got {name!r}")
    return MX_FORMATS[name]
