"""Random weights in every format that a file can hold: what QUANT can say, drawn at its edges."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.nf4 import NF4
from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant.numerics.blocks import parameter_shape
from refquant.numerics.minifloat import decode
from refquant.numerics.minifloat_formats import float_format

Rng = np.random.Generator
Shape = tuple[int, ...]
Array = NDArray[Any]
KINDS = (
    "int3", "uint5", "float_zero", "act_order", "nf4", "fp8", "fp8_tensor", "mxfp4", "nvfp4",
    "mxfp6", "coded_affine", "odd_table",
)  # fmt: skip


def table_of(name: str) -> NDArray[np.float32]:
    """All numbers of a small float format, in the order of their codes, 2^bits of them."""
    form = float_format(name)
    bits = 8 if name == "ue4m3" else form.num_bits  # a scale of NVFP4 is a byte
    codes = np.arange(1 << bits, dtype=np.uint8)
    known = decode(codes & ((1 << form.num_bits) - 1), form)
    table = np.where(codes >> form.num_bits, np.float32(np.nan), known)
    return np.where(np.isinf(table), np.float32(np.nan), table).astype(np.float32)


def once(b: Builder, name: str, array: Array) -> str:
    """Add a constant unless it is there."""
    return name if name in b.constants else b.constant(name, array)


def weight(b: Builder, rng: Rng, name: str, shape: Shape, axis: int, kind: str) -> str:
    """Add the constant ``name`` of codes in groups along ``axis``; return its name."""
    size = int(rng.choice([1, 2, 3, 5, 16, 32]))
    block = tuple(size if i == axis else 1 for i in range(len(shape)))
    if kind.startswith("fp8"):
        block = tuple(d if i == axis else 1 for i, d in enumerate(shape))
    grid = parameter_shape(shape, block)
    scale = rng.uniform(0.01, 0.2, grid).astype(np.float32)
    if kind in ("int3", "uint5", "float_zero", "act_order", "coded_affine"):
        return _rulers(b, rng, name, shape, axis, kind, block, scale)
    if kind == "fp8_tensor":
        quant = Quant(0.0625, 0, None, table=once(b, "e4m3", table_of("e4m3fn")))
        return _by_table(b, rng, name, shape, quant)
    if kind in ("mxfp4", "mxfp6"):
        codes = rng.choice([0, 1, 100, 126, 127, 131], grid).astype(np.uint8)
        inner = Quant(1.0, 0, None, table=once(b, "e8m0", table_of("e8m0")))
        b.constant(f"{name}/scale", codes, quant=inner)
    elif kind == "nvfp4":
        codes = rng.choice([0, 1, 8, 56, 126], grid).astype(np.uint8)
        inner = Quant(float(np.float32(0.013)), 0, None, table=once(b, "s", table_of("ue4m3")))
        b.constant(f"{name}/scale", codes, quant=inner)
    else:
        scale[rng.random(grid) < 0.1] = rng.choice([0.0, 1e-40])  # no ruler, but a table's
        b.constant(f"{name}/scale", scale)
    odd = rng.standard_normal(1 << int(rng.integers(2, 9))).astype(np.float32)
    odd[rng.integers(odd.size)] = rng.choice([np.nan, -0.0])
    tables = {"nf4": NF4, "fp8": table_of("e4m3fn"), "mxfp6": table_of("e3m2"), "odd_table": odd}
    table = tables.get(kind, table_of("e2m1"))
    label = once(b, f"{name}/table" if kind == "odd_table" else f"table_{kind}", table)
    return _by_table(b, rng, name, shape, Quant(f"{name}/scale", 0, block, table=label))


def _rulers(
    b: Builder, rng: Rng, name: str, shape: Shape, axis: int, kind: str, block: Shape, scale: Array
) -> str:
    dtype = kind if kind in ("int3", "uint5") else f"uint{rng.integers(2, 9)}"
    bits = int(dtype[-1])
    low = -(1 << (bits - 1)) if dtype[0] == "i" else 0
    zero: Array = rng.integers(low, low + (1 << bits), scale.shape).astype(np.int32)
    if kind == "float_zero":
        zero = rng.choice([0.0, -0.375, 1 / 3, 7.77, 300.5], scale.shape).astype(np.float32)
    g_idx = None
    if kind == "act_order":
        groups = rng.permutation(np.arange(shape[axis]) // block[axis]).astype(np.int32)
        own = tuple(d if i == axis else 1 for i, d in enumerate(shape))
        g_idx = b.constant(f"{name}/g_idx", groups.reshape(own))
    if kind == "coded_affine":  # as ggml's K-quants: six bits a group, one scale for all
        codes = rng.integers(1, 64, scale.shape).astype(np.uint8)
        b.constant(f"{name}/scale", codes, dtype="uint6", quant=Quant(0.00390625, 0))
    else:
        b.constant(f"{name}/scale", scale)
    b.constant(f"{name}/zero", zero)
    codes = rng.integers(low, low + (1 << bits), shape).astype("int8" if low else "uint8")
    quant = Quant(f"{name}/scale", f"{name}/zero", block, g_idx=g_idx)
    return b.constant(name, codes, dtype=dtype, quant=quant)


def _by_table(b: Builder, rng: Rng, name: str, shape: Shape, quant: Quant) -> str:
    """Add codes that mean something, by the table of ``quant``."""
    table = b.constants[quant.table or ""]
    codes = rng.choice(np.flatnonzero(~np.isnan(table)), shape).astype(np.uint8)
    dtype = f"uint{table.size.bit_length() - 1}"
    return b.constant(name, codes, dtype=dtype, quant=quant)
