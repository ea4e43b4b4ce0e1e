r"""Formats with a table that a recipe can name: NF4, FP8, MXFP4, MXFP8, NVFP4.

A file does not name them: there a format is a table, a block, and what its scales are
(`refquant.model.reals`). ::

    format     codes   table   block             scale s
    nf4        uint4   NF4     64, or as said    float32
    fp8_e4m3   uint8   E4M3    channel, tensor   float32
                               or group
    mxfp4      uint4   E2M1    32                uint8, E8M0
    mxfp8_e4m3 uint8   E4M3    32                uint8, E8M0
    nvfp4      uint4   E2M1    16                uint8, UE4M3 * g

`refquant.model.encode_tables` makes the codes.

References
----------
`refquant.formats.nf4`, ``fp8``, ``mx``, ``nvfp4``, and the sources named there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from refquant.formats.nf4 import NF4
from refquant.numerics.minifloat import decode
from refquant.numerics.minifloat_formats import float_format

__all__ = ["TABLE_FORMATS", "TableFormat", "scale_values", "table_values"]


@dataclass(frozen=True, slots=True)
class TableFormat:
    """A line of the table above; ``scale_table`` None: scales are float32.

    ``block_size`` is what a block has, ``fixed`` at that or only if nothing else is said; None: a
    channel.
    """

    bits: int
    table: str
    block_size: int | None
    scale_table: str | None
    fixed: bool


TABLE_FORMATS: Mapping[str, TableFormat] = MappingProxyType(
    {
        "nf4": TableFormat(4, "nf4", 64, None, fixed=False),
        "fp8_e4m3": TableFormat(8, "e4m3fn", None, None, fixed=False),
        "mxfp4": TableFormat(4, "e2m1", 32, "e8m0", fixed=True),
        "mxfp8_e4m3": TableFormat(8, "e4m3fn", 32, "e8m0", fixed=True),
        "nvfp4": TableFormat(4, "e2m1", 16, "ue4m3", fixed=True),
    }
)


def scale_values(
    format: str, stored: NDArray[np.float32] | NDArray[np.uint8], tensor_scale: np.float32
) -> NDArray[np.float32]:
    """Return the scales that ``stored`` means in ``format``: itself, or codes of the scales' table.

    >>> scale_values("mxfp4", np.uint8([127, 128]), np.float32(1)).tolist()
    [1.0, 2.0]
    """
    row = TABLE_FORMATS[format]
    if row.scale_table is None:
        return np.asarray(stored, np.float32)
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(table_values(row.scale_table, bits=8)[stored] * tensor_scale, np.float32)


def table_values(name: str, *, bits: int) -> NDArray[np.float32]:
    """Return what the 2^``bits`` codes mean in the table ``name``, NaN for no code.

    ``nf4``, or a name of ``FLOAT_FORMATS``; codes of a format of fewer bits leave the rest NaN.

    >>> table_values("e2m1", bits=4)[:8].tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    """
    if name == "nf4":
        return NF4.copy()
    form = float_format(name)
    table = np.full(1 << bits, np.nan, np.float32)
    known = decode(np.arange(1 << form.num_bits, dtype=np.uint8), form)
    table[: known.size] = np.where(np.isinf(known), np.float32(np.nan), known)
    return table
