r"""How a K-quant encoded a block, with the numbers filled in: the steps of ``refquant explain``.

The two families differ in the minimum (eq. 1 of ``k_affine.py`` and of ``k_symmetric.py``):

.. math::

    \hat x_i = d s_j q_i - d_{min} m_j \quad\text{or}\quad \hat x_i = d s_j q_i    \tag{1}

Steps are shown for the sub-blocks that hold a given value; the padding is only counted.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Step, number, padded_block, value_steps
from refquant.formats.ggml.blocks import from_half
from refquant.formats.ggml.k_affine import AffineKind, decode_affine
from refquant.formats.ggml.k_blocks import columns
from refquant.formats.ggml.k_grids import fit_scale_min
from refquant.formats.ggml.k_symmetric import decode_symmetric

__all__ = ["explain_affine", "explain_symmetric"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def explain_affine(
    values: F32,
    *,
    encode: Callable[[F32], U8],
    parts: Callable[[U8], tuple[U8, U8, U8]],
    kind: AffineKind,
    halves: tuple[int, int],
    num_bits: int,
) -> Sequence[Step]:
    """Return the steps for one super-block, of which ``values`` are the first, and zeros the rest.

    ``parts`` returns scales, minimums and codes of the bytes that ``encode`` writes; d and dmin lie
    at the bytes ``halves``.

    >>> from refquant.formats.ggml.q4_k import CARD
    >>> CARD.explain(np.array([15.0], np.float32))[1]
    Step(what='search 0', how='1 + 21 grids, least error', result='scale 1, minimum 0')
    """
    block = padded_block(values, block_size=256)[None]
    data, x = encode(block), columns(block, kind.size)
    with np.errstate(all="ignore"):  # as in the encoder, which divides by a spread of 0
        scale, minimum, _ = fit_scale_min(x, kind.plain_weights(x), kind.plain)
    d, dmin = (data[:, at : at + 2] for at in halves)
    decoded = decode_affine(d, dmin, *parts(data))[0]
    scales, minimums, codes = (part[0] for part in parts(data))
    unit, unit_min = float(from_half(d)[0]), float(from_half(dmin)[0])
    top, used = kind.scale_max, range(-(-len(values) // kind.size))
    steps = [_block_step(values)]
    for j in used:
        found = f"scale {number(scale[j])}, minimum {number(0 - minimum[j])}"
        steps.append(Step(f"search {j}", f"1 + {kind.plain.steps + 1} grids, least error", found))
    steps.append(Step("d", f"f16({number(scale.max())} / {top})", number(unit)))
    steps.append(Step("dmin", f"f16({number(minimum.max() + 0)} / {top})", number(unit_min)))
    for j in used:
        s, m = int(scales[j]), int(minimums[j])
        steps.append(Step(f"s[{j}]", "scale in steps of d", f"{s}: one step is {number(unit * s)}"))
        steps.append(
            Step(f"m[{j}]", "minimum in steps of dmin", f"{m}: {number(0 - unit_min * m)}")
        )
    texts = [f"0b{int(code):0{num_bits}b}" for code in codes]
    return [*steps, *value_steps(values, texts, decoded)]


def explain_symmetric(
    values: F32,
    *,
    encode: Callable[[F32], U8],
    parts: Callable[[U8], tuple[NDArray[np.int8], NDArray[np.int8]]],
    search: Callable[[F32], F32],
    scale_max: int,
    half: int,
) -> Sequence[Step]:
    """Return the steps for one super-block; ``search`` finds the scales of columns.

    ``parts`` returns scales and codes of the bytes that ``encode`` writes; d lies at byte ``half``.

    >>> from refquant.formats.ggml.q3_k import CARD
    >>> CARD.explain(np.array([4.0], np.float32))[1]
    Step(what='search 0', how='least weighted error', result='scale -1')
    """
    block = padded_block(values, block_size=256)[None]
    with np.errstate(all="ignore"):
        scale = search(columns(block, 16))
    data = encode(block)
    d, (scales, codes) = data[:, half : half + 2], parts(data)
    decoded = decode_symmetric(d, scales, codes)[0]
    unit, used = float(from_half(d)[0]), range(-(-len(values) // 16))
    largest: Any = scale[np.argmax(np.abs(scale))]
    steps = [_block_step(values)]
    steps += [
        Step(f"search {j}", "least weighted error", f"scale {number(scale[j])}") for j in used
    ]
    steps.append(Step("d", f"f16({number(largest)} / -{scale_max})", number(unit)))
    for j in used:
        s = int(scales[0, j])
        steps.append(Step(f"s[{j}]", "scale in steps of d", f"{s}: one step is {number(unit * s)}"))
    return [*steps, *value_steps(values, [str(int(code)) for code in codes[0]], decoded)]


def _block_step(values: F32) -> Step:
    return Step("super-block", f"{len(values)} values and {256 - len(values)} zeros", "256 values")
