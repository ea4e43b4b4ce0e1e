r"""AWQ checkpoints: the GEMM, GEMV and GEMV-fast layouts of AutoAWQ and llm-awq, all of 4 bits.

For K in_features and N out_features (our codes are (N, K), zeros (N, groups))::

    layout       qweight             order of nibbles, lowest first
    gemm         int32 (K, N / 8)    along out_features: 0 2 4 6 1 3 5 7
    gemv         int32 (N, K / 8)    along in_features:  0 1 2 3 4 5 6 7
    gemv_fast    int16 (N / 4, K)    along in_features, 64 columns of four rows together, below

    gemm, one word:   | n7 | n5 | n3 | n1 | n6 | n4 | n2 | n0 |
    gemv, one word:   | k7 | k6 | k5 | k4 | k3 | k2 | k1 | k0 |
                    bit 31                                bit 0

.. math::

    \mathtt{gemm}: \text{nibble } i \text{ of word } c \text{ of row } k = q_{8c + o_i,\,k},
    \quad o = (0, 2, 4, 6, 1, 3, 5, 7)                                            \tag{1}

The order of GEMM lets a kernel get two pairs of neighbours in two halves of a register by one mask.
``gemv_fast`` (llm-awq's "v2") puts columns j, j + 8, j + 16 and j + 24 of 32 into int16 j, and
64 columns of row 0 before those of rows 1, 2 and 3:

.. math::

    \mathtt{gemv\_fast}: \text{nibble } f \text{ of int16 } 64c + 16r + 8h + j
        \text{ of row } R = q_{4R + r,\ 64c + 32h + j + 8f}, \quad j < 8,\ h < 2   \tag{2}

Zeros of GEMM are packed as its weights, int32 (groups, N / 8); those of GEMV along groups, int32
(N, width), the width rounded up so that the kernel can load whole vectors, with zeros behind.
GEMV-fast packs none: it stores -(scale * zero), float16. AWQ stores a zero point as it is (GPTQ's
rule ``v2``). Left out: scales, Marlin, bits other than 4, which no AWQ tool packs.

References
----------
AutoAWQ ``awq/modules/linear/gemm.py``, ``gemv.py``, ``gemv_fast.py`` (``pack_intweight``);
llm-awq ``awq/quantize/qmodule.py``, ``tinychat/offline-weight-repacker.py``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers.packing_card import packing_card
from refquant.formats.containers.words import (
    checked_codes,
    checked_packed,
    multiple,
    pack_dense,
    unpack_dense,
)

__all__ = ["CARDS", "GEMM_ORDER", "LAYOUTS", "pack", "pack_zeros", "unpack", "unpack_zeros"]

Codes = NDArray[np.integer[Any]]
U8 = NDArray[np.uint8]

LAYOUTS = ("gemm", "gemv", "gemv_fast")

GEMM_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""The out_feature, of eight, in each nibble of a word of GEMM, the lowest nibble first."""


def pack(codes: Codes, *, layout: str) -> NDArray[np.int32] | NDArray[np.int16]:
    """Return ``qweight`` of codes (N, K), 0 to 15: eq. (1) and (2); shapes in the table above.

    ``ValueError`` for a code outside, an N (``gemm``) or K (``gemv``) that is no multiple of 8;
    ``gemv_fast`` needs N in fours and K in 64.

    >>> q = np.arange(8)
    >>> hex(pack(q[:, None], layout="gemm")[0, 0]), hex(pack(q[None], layout="gemv")[0, 0])
    ('0x75316420', '0x76543210')
    """
    _check(layout)
    fields = checked_codes(codes, num_bits=4, axes=2)
    if layout == "gemm":
        multiple(fields.shape[0], 8, name="out_features")
        return _interleaved(np.ascontiguousarray(fields.T))
    if layout == "gemv":
        multiple(fields.shape[1], 8, name="in_features")
        return pack_dense(fields, num_bits=4).view(np.int32)
    rows = multiple(fields.shape[0], 4, name="out_features")
    chunks = multiple(fields.shape[1], 64, name="in_features")
    # (R, r, c, h, f, j) -> (R, c, r, h, j, f): eq. (2)
    ordered = fields.reshape(rows, 4, chunks, 2, 4, 8).transpose(0, 2, 1, 3, 5, 4)
    halves = (ordered << np.array([0, 4, 8, 12], np.uint32)).sum(axis=5).astype(np.uint16)
    return np.asarray(halves.reshape(rows, 64 * chunks).view(np.int16))


def unpack(qweight: NDArray[np.int32] | NDArray[np.int16], *, layout: str) -> U8:
    """Return the codes, uint8 (N, K), in ``qweight``: the inverse of ``pack``.

    >>> unpack(np.array([[0x75316420]], np.int32), layout="gemm").T.tolist()
    [[0, 1, 2, 3, 4, 5, 6, 7]]
    """
    _check(layout)
    words = np.asarray(qweight)
    if words.ndim != 2:
        raise ValueError(f"qweight must have 2 axes, got shape {words.shape}")
    dtype = "int16" if layout == "gemv_fast" else "int32"
    rows, columns = checked_packed(words, dtype=dtype, shape=words.shape, name="qweight").shape
    if layout == "gemm":
        return np.ascontiguousarray(_in_order(words).T)
    if layout == "gemv":
        fields = unpack_dense(_unsigned(words), num_bits=4, count=8 * columns)
        return fields.astype(np.uint8)
    chunks = multiple(columns, 64, name="columns of qweight")
    halves = np.ascontiguousarray(words).view(np.uint16)[..., None]
    ordered = (halves >> np.array([0, 4, 8, 12], np.uint16)) & np.uint16(15)
    fields16 = ordered.reshape(rows, chunks, 4, 2, 8, 4).transpose(0, 2, 1, 3, 5, 4)
    return np.ascontiguousarray(fields16.reshape(4 * rows, 64 * chunks)).astype(np.uint8)


def pack_zeros(zeros: Codes, *, layout: str, group_size: int) -> NDArray[np.int32]:
    """Return ``qzeros`` of zero points (N, groups), 0 to 15: int32 (groups, N / 8) or (N, width).

    For ``gemv`` the width is ceil(groups / 8) words, rounded up to a multiple of 2 for a
    ``group_size`` of 64 and of 4 for 32 (smaller ones the kernel has not); what is behind is zero.

    >>> [hex(w) for w in pack_zeros(np.array([[1, 2]]), layout="gemv", group_size=64)[0].tolist()]
    ['0x21', '0x0']
    """
    _check(layout, zeros=True)
    fields = checked_codes(zeros, num_bits=4, axes=2, name="zeros")
    if layout == "gemm":
        multiple(fields.shape[0], 8, name="out_features")
        return _interleaved(np.ascontiguousarray(fields.T))
    words = pack_dense(fields, num_bits=4)
    padded = np.zeros((words.shape[0], _gemv_width(fields.shape[1], group_size)), np.uint32)
    padded[:, : words.shape[1]] = words
    return padded.view(np.int32)


def unpack_zeros(
    qzeros: NDArray[np.int32], *, layout: str, group_size: int, groups: int
) -> NDArray[np.uint8]:
    """Return the zero points, uint8 (N, groups), in ``qzeros``: the inverse of ``pack_zeros``.

    ``ValueError`` if what is behind the zeros of ``gemv`` is not zero.

    >>> qzeros = np.array([[0x21, 0]], np.int32)
    >>> unpack_zeros(qzeros, layout="gemv", group_size=64, groups=2).tolist()
    [[1, 2]]
    """
    _check(layout, zeros=True)
    words = np.asarray(qzeros)
    size = words.shape if words.ndim == 2 else (0, 0)
    shape = (groups, size[1]) if layout == "gemm" else (size[0], _gemv_width(groups, group_size))
    words = checked_packed(words, dtype="int32", shape=shape, name="qzeros")
    if layout == "gemm":
        return np.ascontiguousarray(_in_order(words).T)
    fields = unpack_dense(_unsigned(words), num_bits=4, count=groups)
    return fields.astype(np.uint8)


def _interleaved(fields: NDArray[np.uint32]) -> NDArray[np.int32]:
    """Return fields (rows, 8 * words) as int32 (rows, words) in the order of GEMM: eq. (1)."""
    rows, count = fields.shape
    ordered = fields.reshape(rows, count // 8, 8)[..., GEMM_ORDER].reshape(rows, count)
    return pack_dense(ordered, num_bits=4).view(np.int32)


def _in_order(words: NDArray[Any]) -> U8:
    rows, count = words.shape
    ordered = unpack_dense(_unsigned(words), num_bits=4, count=8 * count)
    fields = ordered.reshape(rows, count, 8)[..., np.argsort(GEMM_ORDER)]
    return fields.reshape(rows, 8 * count).astype(np.uint8)


def _unsigned(words: NDArray[Any]) -> NDArray[np.uint32]:
    return np.ascontiguousarray(words).view(np.uint32)


def _gemv_width(groups: int, group_size: int) -> int:
    step = {32: 4, 64: 2}.get(group_size, 1)
    if group_size < 128 and step == 1:
        raise ValueError(f"group_size must be 32, 64 or at least 128 for gemv, got {group_size}")
    words = -(-groups // 8)
    return -(-words // step) * step


def _check(layout: str, *, zeros: bool = False) -> None:
    known = LAYOUTS[:2] if zeros else LAYOUTS
    if layout not in known:
        raise ValueError(f"layout must be one of {', '.join(known)}; got {layout!r}")


CARDS = (
    packing_card(
        name="awq_gemm_packing",
        title="AWQ GEMM qweight, eight out_features of one in_feature (values are codes, 0 to 15)",
        num_bits=4,
        block_size=8,
        layout="int32: | n7 | n5 | n3 | n1 | n6 | n4 | n2 | n0 |   bit 31 first",
        equation="nibble i, lowest first, holds out_feature (0, 2, 4, 6, 1, 3, 5, 7)[i]",
        source="AutoAWQ awq/modules/linear/gemm.py, from_linear",
        pack=lambda codes: pack(codes[:, None], layout="gemm"),
    ),
    packing_card(
        name="awq_gemv_packing",
        title="AWQ GEMV qweight, eight in_features of one out_feature (values are codes, 0 to 15)",
        num_bits=4,
        block_size=8,
        layout="int32: | k7 | k6 | k5 | k4 | k3 | k2 | k1 | k0 |   bit 31 first",
        equation="nibble i, lowest first, holds in_feature i",
        source="AutoAWQ awq/modules/linear/gemv.py, from_linear",
        pack=lambda codes: pack(codes[None], layout="gemv"),
    ),
    packing_card(
        name="awq_gemv_fast_packing",
        title="AWQ GEMV-fast qweight, four rows of 64 columns (values are codes, 0 to 15)",
        num_bits=4,
        block_size=256,
        layout="int16 16 r + 8 h + j: | q[24 + j] | q[16 + j] | q[8 + j] | q[j] | of half h, row r",
        equation="nibble f of int16 16r + 8h + j holds column 32h + j + 8f of row r",
        source="AutoAWQ awq/modules/linear/gemv_fast.py, pack_intweight",
        pack=lambda codes: pack(codes.reshape(4, 64), layout="gemv_fast"),
    ),
)
