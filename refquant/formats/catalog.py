"""The catalog: every format's card, by the name a user types.

A module that defines a format ends in a ``CARD`` or ``CARDS``; listing it here is what makes
``refquant explain`` know it. A test walks all modules and fails if one is forgotten.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from refquant.formats import (
    af4,
    affine_cards,
    apot,
    bfp,
    binary,
    bitnet,
    bnb_fp4,
    double_quant,
    dynamic_map,
    float_zero_point,
    fp8,
    llm_int8,
    log2,
    minifloat_cards,
    mx,
    nf4,
    nvfp4,
    palette,
    power_of_two,
    ternary,
)
from refquant.formats.card import Card
from refquant.formats.containers import (
    awq,
    bitsandbytes,
    compressed_tensors,
    ggml_halves,
    gptq,
    gptq_planar,
    hqq,
    matmul_nbits,
    mlx,
    onnx_packed,
    quanto,
    tflite_packed,
)
from refquant.formats.containers import bitnet as bitnet_packing
from refquant.formats.ggml import (
    iq1_m,
    iq1_s,
    iq2_s,
    iq2_xs,
    iq2_xxs,
    iq3_s,
    iq3_xxs,
    iq4_nl,
    iq4_xs,
    plain,
    q1_0,
    q2_0,
    q2_k,
    q3_k,
    q4_0,
    q4_1,
    q4_k,
    q5_0,
    q5_1,
    q5_k,
    q6_k,
    q8_0,
    q8_1,
    q8_k,
    tq1_0,
    tq2_0,
)
from refquant.formats.ggml import mxfp4 as ggml_mxfp4
from refquant.formats.ggml import nvfp4 as ggml_nvfp4

__all__ = ["CATALOG", "card"]

_SCALARS = (*affine_cards.CARDS, *minifloat_cards.CARDS)
_BLOCK_FLOATS = (*mx.CARDS, *nvfp4.CARDS, *fp8.CARDS, *bfp.CARDS)
_CODEBOOKS = (
    *(nf4.CARD, bnb_fp4.CARD, af4.CARD, dynamic_map.CARD, double_quant.CARD, palette.CARD),
    *(float_zero_point.CARD, llm_int8.CARD),
)
_FEW_BITS = (log2.CARD, power_of_two.CARD, apot.CARD, ternary.CARD, bitnet.CARD, binary.CARD)
_GGML = (
    *plain.CARDS,
    *(q1_0.CARD, q2_0.CARD, q4_0.CARD, q4_1.CARD, q5_0.CARD, q5_1.CARD, q8_0.CARD, q8_1.CARD),
    *(q2_k.CARD, q3_k.CARD, q4_k.CARD, q5_k.CARD, q6_k.CARD, q8_k.CARD),
    *(iq1_s.CARD, iq1_m.CARD, iq2_xxs.CARD, iq2_xs.CARD, iq2_s.CARD, iq3_xxs.CARD, iq3_s.CARD),
    *(iq4_nl.CARD, iq4_xs.CARD, tq1_0.CARD, tq2_0.CARD, ggml_mxfp4.CARD, ggml_nvfp4.CARD),
)
_PACKINGS = (
    *onnx_packed.CARDS,
    *(matmul_nbits.CARD, tflite_packed.CARD),
    *(*gptq.CARDS, gptq_planar.CARD, *awq.CARDS, *compressed_tensors.CARDS),
    *(bitsandbytes.CARD, *hqq.CARDS, quanto.CARD, mlx.CARD, ggml_halves.CARD),
    *bitnet_packing.CARDS,
)

CATALOG: Mapping[str, Card] = MappingProxyType(
    {
        each.name: each
        for family in (_SCALARS, _BLOCK_FLOATS, _CODEBOOKS, _FEW_BITS, _GGML, _PACKINGS)
        for each in family
    }
)
"""Every card by name, families together."""


def card(name: str) -> Card:
    """Return the card of that name, in any case, with ``-`` for ``_``; else a ``ValueError``.

    >>> card("E4M3FN").bits_per_value
    8.0
    >>> card("int9")
    Traceback (most recent call last):
    ...
    ValueError: unknown format 'int9'; did you mean int8, int4, int3? refquant explain lists all
    """
    key = name.strip().lower().replace("-", "_")
    if key in CATALOG:
        return CATALOG[key]
    near = ", ".join(get_close_matches(key, CATALOG, n=3, cutoff=0.5))
    guess = f"did you mean {near}? " if near else ""
    raise ValueError(f"unknown format {name!r}; {guess}refquant explain lists all")
