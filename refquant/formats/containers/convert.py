r"""From one container to another, without rounding: the same codes and zero points, other words.

Every function unpacks by one layout and packs by another, so that

.. math::

    \mathrm{unpack}_B(\mathrm{convert}(t)) = \mathrm{unpack}_A(t)                 \tag{1}

and a number that B has no field for is a ``ValueError`` (a zero point of 0 in GPTQ's rule ``v1``).
Tools convert zero points otherwise, by one subtraction a word::

    v2 to v1, 4 bits:   0x88888880        fields 8 8 8 8 8 8 8 0
                      - 0x11111111
                      = 0x7777776F        fields 7 7 7 7 7 7 6 15: the 0 borrowed from its neighbour

.. math::

    t' = (t \mp \textstyle\sum_i 2^{ib}) \bmod 2^{32}                             \tag{2}

which is undone exactly by the addition, but means other zero points to a reader of ``v1``.
``gptq_zeros_by_words`` is eq. (2), for telling what such a file was. Left out: scales, which stay
as they are but for their axes; conversions that round.

References
----------
GPTQModel ``utils/model.py`` (``convert_gptq_v1_to_v2_format_module``, 2, 4 and 8 bits); AutoAWQ
``utils/packing_utils.py`` (``unpack_reorder_pack``: eq. (2) too); GPTQModel issue 2350.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers import awq, compressed_tensors, gptq, matmul_nbits
from refquant.formats.containers.words import checked_packed

__all__ = [
    "MatMulNBitsWeight",
    "awq_to_gptq",
    "compressed_tensors_layout",
    "gptq_to_awq",
    "gptq_to_matmul_nbits",
    "gptq_zeros",
    "gptq_zeros_by_words",
]

I32 = NDArray[np.int32]


class MatMulNBitsWeight(NamedTuple):
    """Inputs of MatMulNBits; ``order`` permutes the in_features of the activation, None: as is."""

    b: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zero_points: NDArray[np.uint8] | NDArray[np.float32]
    order: NDArray[np.int64] | None


def gptq_zeros(
    qzeros: I32, *, num_bits: int, source: str, target: str, layout: str = "continuous"
) -> I32:
    """Return ``qzeros`` stored by rule ``target`` instead of ``source``, of ``gptq.ZERO_RULES``.

    ``ValueError`` if a zero point has no field in ``target``.

    >>> v1 = np.full((1, 4), 0x77777777, np.int32)
    >>> hex(gptq_zeros(v1, num_bits=4, source="v1", target="v2").view(np.uint32)[0, 0])
    '0x88888888'
    """
    zeros = gptq.unpack_zeros(qzeros, num_bits=num_bits, rule=source, layout=layout)
    return gptq.pack_zeros(zeros, num_bits=num_bits, rule=target, layout=layout)


def gptq_zeros_by_words(qzeros: I32, *, num_bits: int, target: str) -> I32:
    """Return ``qzeros`` as GPTQModel converts whole words, to ``v1`` or ``v2``: eq. (2).

    For 2, 4 and 8 bits. The same as ``gptq_zeros`` unless a field is 0 on the way to v1, or all
    ones on the way to v2.

    >>> words = np.array([[0x08888880]], np.int32)
    >>> hex(gptq_zeros_by_words(words, num_bits=4, target="v1").view(np.uint32)[0, 0])
    '0xf777776f'
    """
    if num_bits not in (2, 4, 8):
        raise ValueError(f"num_bits must be 2, 4 or 8 for conversion by words, got {num_bits}")
    if target not in ("v1", "v2"):
        raise ValueError(f"target must be v1 or v2, got {target!r}")
    ones = np.uint32(sum(1 << i for i in range(0, 32, num_bits)))
    words = checked_packed(qzeros, dtype="int32", shape=np.shape(qzeros), name="qzeros")
    unsigned = np.ascontiguousarray(words).view(np.uint32)
    moved = unsigned - ones if target == "v1" else unsigned + ones  # modulo 2^32
    return moved.view(np.int32)


def awq_to_gptq(
    qweight: NDArray[Any], qzeros: I32, *, layout: str, group_size: int, rule: str
) -> tuple[I32, I32]:
    """Return GPTQ's ``qweight`` and ``qzeros`` (4 bits) of an AWQ layer; scales do not change.

    ``layout`` is ``gemm`` or ``gemv`` (whose scales are (N, width), GPTQ's (groups, N)); ``rule``
    that of GPTQ's zeros. N and K must be multiples of 32.

    >>> q = np.tile(np.arange(8), (32, 4))
    >>> zeros = awq.pack_zeros(np.full((32, 1), 8), layout="gemm", group_size=32)
    >>> weight, zeros = awq_to_gptq(
    ...     awq.pack(q, layout="gemm"), zeros, layout="gemm", group_size=32, rule="v2")
    >>> hex(weight[0, 0]), hex(zeros.view(np.uint32)[0, 0])
    ('0x76543210', '0x88888888')
    """
    codes = awq.unpack(qweight, layout=layout)
    groups = -(-codes.shape[1] // group_size)
    zeros = awq.unpack_zeros(qzeros, layout=layout, group_size=group_size, groups=groups)
    return gptq.pack(codes, num_bits=4), gptq.pack_zeros(zeros, num_bits=4, rule=rule)


def gptq_to_awq(
    qweight: I32, qzeros: I32, *, layout: str, group_size: int, rule: str
) -> tuple[NDArray[Any], I32]:
    """Return AWQ's ``qweight`` and ``qzeros`` of a 4-bit GPTQ layer: the inverse of the above.

    AWQ has no ``g_idx``: the groups must be in order. ``ValueError`` for a zero point of 16.

    >>> weight = np.full((4, 32), 0x76543210, np.int32)
    >>> zeros = np.full((1, 4), 0x77777777, np.int32)
    >>> weight, zeros = gptq_to_awq(weight, zeros, layout="gemm", group_size=32, rule="v1")
    >>> hex(weight[1, 0]), hex(zeros.view(np.uint32)[0, 0])
    ('0x11111111', '0x88888888')
    """
    codes = gptq.unpack(qweight, num_bits=4)
    zeros = gptq.unpack_zeros(qzeros, num_bits=4, rule=rule)
    packed = awq.pack_zeros(zeros, layout=layout, group_size=group_size)
    return awq.pack(codes, layout=layout), packed


def compressed_tensors_layout(
    packed: I32, *, num_bits: int, shape: Sequence[int], source: str, target: str, axis: int = -1
) -> I32:
    """Return ``packed`` in layout ``target`` instead of ``source``, ``dense`` or ``padded``.

    ``shape`` is the logical one, ``axis`` as in ``compressed_tensors.pack``.

    >>> old = compressed_tensors.pack(np.full((1, 12), 3), num_bits=3, layout="padded")
    >>> new = compressed_tensors_layout(
    ...     old, num_bits=3, shape=(1, 12), source="padded", target="dense")
    >>> [hex(w) for w in old.view(np.uint32)[0]], [hex(w) for w in new.view(np.uint32)[0]]
    (['0x3fffffff', '0x3f'], ['0xffffffff', '0xf'])
    """
    codes = compressed_tensors.unpack(
        packed, num_bits=num_bits, layout=source, shape=shape, axis=axis
    )
    return compressed_tensors.pack(codes, num_bits=num_bits, layout=target, axis=axis)


def gptq_to_matmul_nbits(
    qweight: I32,
    qzeros: I32,
    scales: NDArray[np.floating[Any]],
    *,
    num_bits: int,
    group_size: int,
    rule: str,
    g_idx: I32 | None = None,
    float_zero_points: bool = False,
) -> MatMulNBitsWeight:
    """Return the inputs of onnxruntime's MatMulNBits for a GPTQ layer of 2, 4 or 8 bits.

    ``scales`` is (groups, N), and becomes float32 (N, groups). MatMulNBits has blocks of
    neighbours only: with a ``g_idx`` that is not in order, columns are sorted by group, and
    ``order`` says by which permutation to take the activation's. ``float_zero_points`` keeps a zero
    point of 2^num_bits (rule ``v1``), which has no field and is otherwise a ``ValueError``.

    >>> weight = gptq.pack(np.full((32, 32), 9), num_bits=4)
    >>> zeros, scales = np.full((2, 4), 0x77777777, np.int32), np.ones((2, 32), np.float16)
    >>> made = gptq_to_matmul_nbits(
    ...     weight, zeros, scales, num_bits=4, group_size=16, rule="v1")
    >>> made.b.shape, made.zero_points[0].tolist(), made.order is None
    ((32, 2, 8), [136], True)
    """
    codes = gptq.unpack(qweight, num_bits=num_bits)
    zeros = gptq.unpack_zeros(qzeros, num_bits=num_bits, rule=rule)
    groups = -(-codes.shape[1] // group_size)
    if zeros.shape != (codes.shape[0], groups) or np.shape(scales) != zeros.T.shape:
        raise ValueError(
            f"qzeros and scales must have {groups} groups of {codes.shape[0]} out_features, "
            f"got {zeros.T.shape} and {np.shape(scales)}"
        )
    order = _sorted_columns(g_idx, codes.shape[1], group_size)
    if order is not None:
        codes = codes[:, order]
    points: NDArray[np.uint8] | NDArray[np.float32] = zeros.astype(np.float32)
    if not float_zero_points:
        points = matmul_nbits.pack_zero_points(zeros, num_bits=num_bits)
    b = matmul_nbits.pack(codes, num_bits=num_bits, block_size=group_size)
    across = np.ascontiguousarray(np.asarray(scales).T.astype(np.float32))
    return MatMulNBitsWeight(b, across, points, order)


def _sorted_columns(
    g_idx: I32 | None, in_features: int, group_size: int
) -> NDArray[np.int64] | None:
    """Return the columns sorted by group, None if they are; every group but the last is full."""
    in_order = np.arange(in_features) // group_size
    if g_idx is None or np.array_equal(g_idx, in_order):
        return None
    if np.shape(g_idx) == (in_features,):
        order = np.argsort(g_idx, kind="stable")
        if np.array_equal(g_idx[order], in_order):
            return order
    counts = np.unique(g_idx, return_counts=True)[1].tolist()
    raise ValueError(
        f"g_idx must put {group_size} of the {in_features} columns into each group, "
        f"got {counts} columns a group, shape {np.shape(g_idx)}"
    )
