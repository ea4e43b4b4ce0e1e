r"""GPTQ checkpoints: ``qweight``, ``qzeros`` and ``g_idx`` of AutoGPTQ and GPTQModel.

For a layer of K in_features and N out_features (our codes are (N, K), zeros and scales (N, groups);
the tensors of the checkpoint are transposed)::

    qweight  int32 (K * b / 32, N)        packed along in_features
    qzeros   int32 (groups, N * b / 32)   packed along out_features
    scales   float16 (groups, N)
    g_idx    int32 (K,)                   the group of each in_feature

    one column of qweight, b = 4:   word 0 | q7 | q6 | q5 | q4 | q3 | q2 | q1 | q0 |
                           b = 3:   word 0 |10|9 9 9| ... |1 1 1|0 0 0|   32 codes in three words
                                    word 1 |21|20 20 20| ... |11 11 11|10|
                                    word 2 |31 31 31| ... |22 22 22|21 21|
                                 bit 31                           bit 0

Fields run on from word to word, from the lowest bit up (eq. (1) of ``words``). That is the layout
``continuous``, for 2, 3, 4 and 8 bits; ``planar``, for 2 to 8 bits, is that of ``gptq_planar``.

A zero point z is *stored as* another number, and by which rule no tensor says:

.. math::

    \mathtt{v1}: z - 1,\ 1 \le z \le 2^b; \quad
    \mathtt{v1\_wrap}: (z - 1) \bmod 2^b; \quad
    \mathtt{v2}: z                                                                \tag{1}

    \hat w_{nk} = s_{ng} \cdot (q_{nk} - z_{ng}), \quad g = \mathtt{g\_idx}_k    \tag{2}

All of a symmetric 4-bit checkpoint's zeros are 8: words of 0x77777777 in v1, 0x88888888 in v2. The
readers of v1 differ about the stored 2^b - 1: AutoGPTQ's triton and ``qlinear_cuda`` in PyTorch
read 2^b (``v1``), exllama and ``qlinear_cuda_old`` 0 (``v1_wrap``), which a group of positive
weights needs. AutoGPTQ's writer has no answer for z = 0: -1 fills every higher field of the word
with ones; that is refused here.

K and N must be multiples of 32, as AutoGPTQ requires. Left out: scales, bias, the Marlin layout.

References
----------
AutoGPTQ ``nn_modules/qlinear/qlinear_cuda_old.py``, ``qlinear_cuda.py`` (``pack``);
``quantization/gptq.py`` (``g_idx``). GPTQModel ``utils/model.py`` (v1 to v2 and back).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers.gptq_planar import pack_planar, unpack_planar
from refquant.formats.containers.packing_card import packing_card
from refquant.formats.containers.words import (
    checked_codes,
    checked_packed,
    multiple,
    pack_dense,
    unpack_dense,
)

__all__ = [
    "CARDS",
    "LAYOUTS",
    "ZERO_RULES",
    "group_index",
    "pack",
    "pack_zeros",
    "unpack",
    "unpack_zeros",
]

Codes = NDArray[np.integer[Any]]
I32 = NDArray[np.int32]
Fields = NDArray[np.uint32]

LAYOUTS = {"continuous": (2, 3, 4, 8), "planar": (2, 3, 4, 5, 6, 7, 8)}
"""Layout of the words: the bits it exists for."""

ZERO_RULES = ("v1", "v1_wrap", "v2")


def pack(codes: Codes, *, num_bits: int, layout: str = "continuous") -> I32:
    """Return ``qweight``, int32 (K * num_bits / 32, N), of codes (N, K) in [0, 2^num_bits - 1].

    ``ValueError`` for a code outside, and for a K that is no multiple of 32.

    >>> q = np.tile(np.arange(8), 4)[None]
    >>> [hex(w) for w in pack(q, num_bits=4)[:1, 0].tolist()]
    ['0x76543210']
    """
    _check(num_bits, layout)
    fields = checked_codes(codes, num_bits=num_bits, axes=2)
    multiple(fields.shape[1], 32, name="in_features")
    return np.ascontiguousarray(_words(fields, num_bits, layout).T)


def unpack(qweight: I32, *, num_bits: int, layout: str = "continuous") -> NDArray[np.uint8]:
    """Return the codes, uint8 (N, K), in ``qweight``: the inverse of ``pack``.

    >>> qweight = pack(np.arange(32)[None] % 8, num_bits=3)
    >>> unpack(qweight, num_bits=3)[0, 8:13].tolist()
    [0, 1, 2, 3, 4]
    """
    _check(num_bits, layout)
    return _fields(_matrix(qweight, "qweight").T, num_bits, layout, axis="rows of qweight")


def pack_zeros(zeros: Codes, *, num_bits: int, rule: str, layout: str = "continuous") -> I32:
    """Return ``qzeros``, int32 (groups, N * num_bits / 32), of zero points (N, groups): eq. (1).

    ``rule`` is one of ``ZERO_RULES``: zero points are 1 to 2^num_bits for ``v1``, from 0 to
    2^num_bits - 1 for the others. ``ValueError`` outside, and for an N that is no multiple of 32.

    >>> zeros = np.full((32, 1), 8)
    >>> [hex(pack_zeros(zeros, num_bits=4, rule=r).view(np.uint32)[0, 0]) for r in ("v1", "v2")]
    ['0x77777777', '0x88888888']
    """
    _check(num_bits, layout, rule)
    low = 1 if rule == "v1" else 0
    fields = checked_codes(zeros, num_bits=num_bits, low=low, axes=2, name="zeros")
    multiple(fields.shape[0], 32, name="out_features")
    if rule == "v1_wrap":
        fields = (fields - np.uint32(1)) & np.uint32((1 << num_bits) - 1)
    return _words(np.ascontiguousarray(fields.T), num_bits, layout)


def unpack_zeros(
    qzeros: I32, *, num_bits: int, rule: str, layout: str = "continuous"
) -> NDArray[np.int32]:
    """Return the zero points, int32 (N, groups), in ``qzeros``: the inverse of ``pack_zeros``.

    >>> qzeros = np.full((1, 4), 0x77777777, np.int32)
    >>> [int(unpack_zeros(qzeros, num_bits=4, rule=r)[0, 0]) for r in ("v1", "v2")]
    [8, 7]
    """
    _check(num_bits, layout, rule)
    words = _matrix(qzeros, "qzeros")
    stored = _fields(words, num_bits, layout, axis="columns of qzeros").T.astype(np.int32)
    if rule == "v1_wrap":
        return np.asarray((stored + 1) % (1 << num_bits), np.int32)
    return np.ascontiguousarray(stored + (rule == "v1"), np.int32)


def group_index(
    in_features: int, *, group_size: int, order: NDArray[np.integer[Any]] | None = None
) -> I32:
    """Return ``g_idx``, int32 (in_features,): the group of each in_feature.

    ``order`` is the permutation in which GPTQ quantized the columns (``desc_act``, groups formed
    in that order), None for their own: column ``order[i]`` is in group i // group_size. The last
    group may be ragged. With static groups the index is that of ``order=None``.

    >>> group_index(4, group_size=2, order=np.array([3, 0, 2, 1])).tolist()
    [0, 1, 1, 0]
    """
    if group_size < 1:
        raise ValueError(f"group_size must be at least 1, got {group_size}")
    order = np.arange(in_features) if order is None else np.asarray(order)
    if order.shape != (in_features,) or not np.array_equal(np.sort(order), np.arange(in_features)):
        raise ValueError(f"order must be a permutation of {in_features} columns, got {order}")
    index = np.empty(in_features, np.int32)
    index[order] = np.arange(in_features, dtype=np.int32) // group_size
    return index


def _words(fields: Fields, num_bits: int, layout: str) -> I32:
    """Return fields (rows, n), n a multiple of 32, as int32 words (rows, n * num_bits / 32)."""
    pack_fields = pack_dense if layout == "continuous" else pack_planar
    return pack_fields(fields, num_bits=num_bits).view(np.int32)


def _fields(words: I32, num_bits: int, layout: str, *, axis: str) -> NDArray[np.uint8]:
    """Return the inverse of ``_words``, uint8 (rows, n); ``axis`` names the words in an error."""
    count = 32 * multiple(words.shape[1], num_bits, name=axis)
    whole = np.ascontiguousarray(words).view(np.uint32)
    if layout == "continuous":
        return unpack_dense(whole, num_bits=num_bits, count=count).astype(np.uint8)
    return unpack_planar(whole, num_bits=num_bits).astype(np.uint8)


def _matrix(words: I32, name: str) -> I32:
    words = np.asarray(words)
    if words.ndim != 2:
        raise ValueError(f"{name} must have 2 axes, got shape {words.shape}")
    return checked_packed(words, dtype="int32", shape=words.shape, name=name)


def _check(num_bits: int, layout: str, rule: str = "v2") -> None:
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}; got {layout!r}")
    if num_bits not in LAYOUTS[layout]:
        known = ", ".join(map(str, LAYOUTS[layout]))
        raise ValueError(f"num_bits must be one of {known} for layout {layout!r}, got {num_bits}")
    if rule not in ZERO_RULES:
        raise ValueError(f"rule must be one of {', '.join(ZERO_RULES)}; got {rule!r}")


def _column(codes: Codes, num_bits: int) -> NDArray[Any]:
    """Return the words of one column of qweight that the codes of a card fill."""
    whole = np.zeros((1, 32), np.int64)
    whole[0, : codes.size] = codes
    words = pack(whole, num_bits=num_bits)[:, 0]
    return words[: -(-codes.size * num_bits // 32)]


CARDS = (
    packing_card(
        name="gptq_int4_packing",
        title="GPTQ qweight, 4 bits, one word (values are codes, 0 to 15)",
        num_bits=4,
        block_size=8,
        layout="int32 down a column: | q7 | q6 | q5 | q4 | q3 | q2 | q1 | q0 |   bit 31 first",
        equation="w = scale * (q - zero); qzeros holds zero - 1 (v1) or zero (v2)",
        source="AutoGPTQ nn_modules/qlinear/qlinear_cuda.py, pack",
        pack=lambda codes: _column(codes, 4),
    ),
    packing_card(
        name="gptq_int3_packing",
        title="GPTQ qweight, 3 bits, three words (values are codes, 0 to 7)",
        num_bits=3,
        block_size=32,
        layout="three int32 down a column, dense: code 10 is in bits 30, 31 of word 0, 0 of word 1",
        equation="bit j of code i is bit (3i + j) mod 32 of word floor((3i + j) / 32)",
        source="AutoGPTQ nn_modules/qlinear/qlinear_cuda.py, pack",
        pack=lambda codes: _column(codes, 3),
    ),
)
