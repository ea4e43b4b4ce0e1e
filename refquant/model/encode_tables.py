r"""A weight in a format with a table: its blocks, one after the other, to nearest.

A block is a box of the weight, its elements in a row. One that ends at the edge of the tensor, or
that holds as many whole kernels of a convolution as fit, is shorter than the format's; it is
filled up with zeros, which change no scale:

.. math::

    (c_0 \dots c_{b-1},\ \cdot) = \mathrm{quantize}(w_0 \dots w_{b-1}, 0 \dots 0)           \tag{1}

::

    format     producer
    nf4        bitsandbytes on a CPU (``bnb_torch``)
    fp8_e4m3   s = amax / 448, half even
    mxfp4      OCP: scale by floor, elements half even; mxfp8_e4m3 as well
    nvfp4      ModelOpt; g = 1 where amax / 2688 is no normal number: all zeros, or nearly

GPTQ's codes in the same blocks: `refquant.model.encode_gptq`. Left out: AWQ and HQQ, which search
for rulers; double quantization of NF4's scales (an offset, which a file has not).

References
----------
`refquant.formats.nf4`, ``fp8``, ``mx``, ``nvfp4``, and the sources named there.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from refquant.formats import fp8, mx, nf4, nvfp4
from refquant.formats.codebook import nearest
from refquant.model.coded import Coded
from refquant.model.table_formats import TABLE_FORMATS
from refquant.numerics.blocks import parameter_shape, per_tensor
from refquant.numerics.minifloat import encode
from refquant.numerics.minifloat_formats import float_format

__all__ = ["encode_rows", "encode_weight", "nearest_codes", "tensor_scale_of"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Parts = tuple[U8, F32 | U8]

_ONE = np.float32(1)


def encode_weight(
    w: F32, *, format: str, block_shape: tuple[int, ...] | None, name: str = "w"
) -> Coded:
    """Return the weight ``w`` in a ``format`` of `TABLE_FORMATS`, one scale a block: eq. (1).

    ``block_shape`` None is one block. ``w`` is float32, finite, not empty, and a block no longer
    than the format's; `ValueError` with the weight's ``name`` otherwise.

    >>> w = np.array([[0.5, -6.0, 1.0, 3.0]], np.float32)
    >>> q = encode_weight(w, format="mxfp4", block_shape=(1, 32))
    >>> q.codes.tolist(), q.scale.tolist()
    ([[1, 15, 2, 5]], [[127]])
    """
    if format not in TABLE_FORMATS:
        raise ValueError(f"format must be one of {', '.join(TABLE_FORMATS)}; got {format!r}")
    row = TABLE_FORMATS[format]
    w = np.asarray(w)
    if w.dtype != np.float32 or w.size == 0 or not np.isfinite(w).all():
        bad = int(np.count_nonzero(~np.isfinite(w)))
        raise ValueError(
            f"weight {name!r} must be float32, finite and not empty, got {w.dtype}, {bad} NaN or "
            f"infinity in {w.size} elements; train or clean the model first"
        )
    block = per_tensor(w.shape) if block_shape is None else block_shape
    rows = _rows(w, block)
    length, most = rows.shape[1], row.block_size or 0
    if row.fixed and (length > most or block_shape is None):
        raise ValueError(
            f"weight {name!r}: blocks of {format} hold at most {most} weights, got block_shape "
            f"{block_shape}"
        )
    tensor_scale = tensor_scale_of(w, format=format)
    codes, scale = encode_rows(rows, format=format, tensor_scale=tensor_scale)
    grid = () if block_shape is None else parameter_shape(w.shape, block)
    return Coded(
        f"uint{row.bits}",
        _back(codes, w.shape, block),
        scale.reshape(grid),
        np.zeros(grid, np.int32),
        block_shape,
        None,
        format,
        tensor_scale,
    )


def encode_rows(rows: F32, *, format: str, tensor_scale: np.float32) -> Parts:
    """Return the codes of blocks, float32 (blocks, length), finite, and their scales as stored.

    A ``length`` of less than the format's is filled up with zeros; ``tensor_scale`` as
    `tensor_scale_of` gives it.

    >>> codes, scales = encode_rows(np.float32([[0.5, -6]]), format="mxfp4", tensor_scale=_ONE)
    >>> codes.tolist(), scales.tolist()
    ([[1, 15]], [127])
    """
    row, length = TABLE_FORMATS[format], rows.shape[1]
    if row.fixed and row.block_size is not None:
        rows = np.pad(rows, ((0, 0), (0, row.block_size - length)))
    codes, scales = _ENCODE[format](rows, tensor_scale)
    return codes[:, :length], scales.reshape(-1)


def tensor_scale_of(w: F32, *, format: str) -> np.float32:
    """Return the scale that all blocks of ``w`` share; 1 where the format has none.

    >>> float(tensor_scale_of(np.float32([2688]), format="nvfp4"))
    1.0
    """
    if format != "nvfp4":
        return _ONE
    # Zeros, or nearly: dividing by their own g would give NaN.
    g = nvfp4.tensor_scale_of(np.abs(w).max(), producer="modelopt")
    return g if g >= np.float32(2.0**-126) else _ONE


def nearest_codes(x: F32, scale: F32, *, format: str) -> U8:
    """Return the codes of ``x``, float32, on marks times ``scale``, of its shape, to nearest.

    Ties are the format's; what is beyond the last mark becomes it, and where ``scale`` is 0 the
    code is that of 0. A ``scale`` as `scale_values` gives it makes the codes of `encode_rows`.

    >>> nearest_codes(np.float32([0.25, -9]), np.float32([1, 1]), format="mxfp4").tolist()
    [0, 15]
    """
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        scaled = np.where(scale > 0, x / scale, np.float32(0))
    if format == "nf4":
        return np.asarray(nearest(np.clip(scaled, -1, 1), nf4.NF4, ties="low"), np.uint8)
    form = float_format(TABLE_FORMATS[format].table)
    codes = encode(scaled, form, rounding="half_even", overflow="saturate")
    return np.asarray(codes, np.uint8)


def _rows(w: F32, block: tuple[int, ...]) -> F32:
    """Return the blocks of ``w`` as rows, filled up with zeros."""
    grid = parameter_shape(w.shape, block)
    whole = np.pad(
        w, [(0, p * b - d) for d, p, b in zip(w.shape, grid, block, strict=True)]
    )  # (p b, ...)
    split = whole.reshape([size for pair in zip(grid, block, strict=True) for size in pair])
    axes = [*range(0, split.ndim, 2), *range(1, split.ndim, 2)]
    return split.transpose(axes).reshape(int(np.prod(grid)), -1)  # (p ..., b ...)


def _back(rows: U8, shape: tuple[int, ...], block: tuple[int, ...]) -> U8:
    """Return rows of codes as a tensor: the inverse of `_rows`."""
    grid, rank = parameter_shape(shape, block), len(shape)
    axes = [i // 2 + (i % 2) * rank for i in range(2 * rank)]
    whole = rows.reshape(*grid, *block).transpose(axes)
    whole = whole.reshape([p * b for p, b in zip(grid, block, strict=True)])
    return np.ascontiguousarray(whole[tuple(slice(0, d) for d in shape)])


def _nf4(rows: F32, _: np.float32) -> Parts:
    q = nf4.quantize(rows, block_size=rows.shape[1], flavour="bnb_torch")
    return q.codes, q.absmax


def _fp8(rows: F32, _: np.float32) -> Parts:
    q = fp8.quantize(rows, format="e4m3fn", block_shape=(1, rows.shape[1]))
    return q.codes, q.scale


def _mx(rows: F32, _: np.float32, *, format: str) -> Parts:
    q = mx.quantize_like(rows, format=format, producer="ocp")
    return q.codes.astype(np.uint8), q.scales


def _nvfp4(rows: F32, tensor_scale: np.float32) -> Parts:
    q = nvfp4.quantize(rows, producer="modelopt", tensor_scale=tensor_scale)
    return q.codes.astype(np.uint8), q.scales


_ENCODE: Mapping[str, Callable[[F32, np.float32], Parts]] = {
    "nf4": _nf4,
    "fp8_e4m3": _fp8,
    "mxfp4": partial(_mx, format="mxfp4"),
    "mxfp8_e4m3": partial(_mx, format="mxfp8_e4m3"),
    "nvfp4": _nvfp4,
}
