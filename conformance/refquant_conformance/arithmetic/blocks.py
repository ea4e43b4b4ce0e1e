r"""Blocks of ggml: what bytes mean, and which bytes floats become.

Decoding has no freedom but where a nibble belongs: ``nibbles`` = ``halves`` puts element j and
j + 16 of a block into one byte, as ggml does, ``pairs`` elements 2j and 2j + 1. Both have blocks
of the same size, so a reader with the wrong one fails nowhere.

Encoding of the legacy types is float32 arithmetic; ``contraction`` says whether

.. math::

    q = \min(\lfloor x \otimes d^{-1} \oplus o \rfloor, q_{max})                   \tag{1}

rounds its product (``separate``) or is fused. Q8_0 has the flavours of ``formats/ggml/q8_0.py``.

Left out: encoders that search (K-quants, codebooks): laws are asked of them, and no bytes.

References
----------
ggml ``src/ggml-common.h``, ``src/ggml-quants.c``.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.contracts.axes import AxisValue
from refquant.formats.ggml import codec
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.operators import types_of
from refquant_conformance.operators_formats import BLOCKS
from refquant_conformance.oracle_blocks import SIZES, byte_exact, element_exact
from refquant_conformance.protocol import Array, Case

__all__ = ["DECODED", "ENCODED", "block_case", "blocks_of_bytes", "sane_blocks"]

_NIBBLES = ("q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl", "mxfp4")
_LEGACY = ("q4_0", "q4_1", "q5_0", "q5_1")
_FLAVOURS = ("reference", "avx2", "neon", "wasm")
_CLAUSE = "ggml src/ggml-common.h and src/ggml-quants.c: the structs and the reference loops"
_HALVES = {  # where the halves of a block are
    **{"q4_0": (0,), "q4_1": (0, 2), "q5_0": (0,), "q5_1": (0, 2), "q8_0": (0,)},
    **{"q2_k": (80, 82), "q3_k": (108,), "q4_k": (0, 2), "q5_k": (0, 2), "q6_k": (208,)},
    **{"iq4_nl": (0,), "iq4_xs": (0,), "tq1_0": (52,), "tq2_0": (64,), "mxfp4": (), "nvfp4": ()},
}


def block_case(op: str, scheme: str, x: Array) -> Case:
    """Return the case of a row of blocks, or of floats."""
    return Case(op, scheme, {"x": x}, {}, types=types_of(op, scheme))


def blocks_of_bytes(scheme: str, count: int, seed: int) -> Array:
    """Return random bytes as ``count`` blocks, one after the other."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, count * SIZES[scheme][1], np.uint8)


def sane_blocks(scheme: str, count: int, seed: int) -> Array:
    """Return random blocks whose scales are between 1/64 and 64, so that nothing overflows."""
    blocks = blocks_of_bytes(scheme, count, seed).reshape(count, -1)
    rng = np.random.default_rng(seed + 1)
    for at in _HALVES[scheme]:
        scales = np.exp2(rng.uniform(-6, 6, count)).astype(np.float16)
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(count, 2)
    if scheme == "nvfp4":
        blocks[:, :4] &= 0x3F  # NaN and what ggml reads otherwise are not sane
    if scheme == "mxfp4":
        blocks[:, 0] = rng.integers(100, 150, count)
    return blocks.reshape(-1)


def _pairs(y: Array) -> Array:
    """Return elements as they are read where neighbours share a byte."""
    blocks = y.reshape(-1, 2, 16)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1)).reshape(y.shape)


def _decode(case: Case, axes: Axes) -> Outputs | None:
    x = case.inputs["x"]
    if x.shape[-1] % SIZES[case.scheme][1]:
        return None
    with np.errstate(all="ignore"):  # any bytes: infinities and NaN are scales, too
        if axes.get("nibbles") == "pairs" and case.scheme in ("q5_0", "q5_1"):
            return {"y": codec.decode(_interleaved(case.scheme, x), type=case.scheme)}
        y = codec.decode(np.ascontiguousarray(x), type=case.scheme)
    return {"y": _pairs(y) if axes.get("nibbles") == "pairs" else y}


def _interleaved(scheme: str, x: Array) -> Array:
    """Return blocks whose nibbles in halves are those of ``x`` in pairs: fifth bits stay."""
    blocks = np.ascontiguousarray(x).reshape(-1, SIZES[scheme][1]).copy()
    data = blocks[:, -16:]
    nibbles = np.stack([data & 15, data >> 4], axis=2).reshape(-1, 32)
    blocks[:, -16:] = nibbles[:, :16] | nibbles[:, 16:] << 4
    return blocks.reshape(x.shape)


def _decode_exact(case: Case, axes: Axes, output: str, index: int) -> float | None:
    x = case.inputs["x"]
    if x.shape[-1] % SIZES[case.scheme][1]:
        return None
    pairs = axes.get("nibbles") == "pairs"
    return element_exact(case.scheme, x.tobytes(), index, pairs=pairs)


def _bytes_probes(scheme: str) -> Sequence[Case]:
    made = [sane_blocks(scheme, 4, seed) for seed in range(3)]
    made += [blocks_of_bytes(scheme, 8, 9)]
    return [block_case("block_dequantize", scheme, data) for data in made]


def _block_of(case: Case, index: int) -> Case:
    """Return the case of the block that holds an output."""
    elements, size = SIZES[case.scheme]
    x = case.inputs["x"].reshape(-1)
    own, other = (elements, size) if case.op == "block_quantize" else (size, elements)
    block = index // other
    return replace(case, inputs={"x": x[own * block : own * (block + 1)]})


def _encode(case: Case, axes: Axes) -> Outputs | None:
    x = case.inputs["x"].astype(np.float32)  # in the byte order of this machine
    way = str(axes.get("contraction", axes.get("flavour")))
    flavour = {"separate": "reference", "fused": "fma"}.get(way, way)
    try:
        with np.errstate(all="ignore"):
            return {"y": codec.encode(x, type=case.scheme, flavour=flavour)}
    except ValueError:
        return None


def _encode_exact(case: Case, axes: Axes, output: str, index: int) -> int | None:
    x = case.inputs["x"]
    if x.shape[-1] % 32 or not np.isfinite(x).all():
        return None
    way = str(axes.get("contraction", axes.get("flavour")))
    return byte_exact(case.scheme, x.reshape(-1).tolist(), index, way=way)


def _float_probes(scheme: str) -> Sequence[Case]:
    """Return blocks whose quotients lie at and next to ties, and drawn ones."""
    rng = np.random.default_rng(5)
    steps = rng.integers(-14, 14, (200, 32)) / 2 + 0.25 * rng.integers(-2, 3, (200, 32))
    scale = np.exp2(rng.uniform(-8, 8, (200, 1)))
    near, drawn = (steps * scale).astype(np.float32), None
    if scheme in ("q4_1", "q5_1"):  # a minimum of 0, so that the difference is exact
        near = np.abs(near)
        near[:, 0], near[:, 1] = 0, (scale[:, 0] * (2.0 ** int(scheme[1]) - 1)).astype(np.float32)
        drawn = near.copy()
    ways = np.where(rng.integers(0, 2, near.shape) > 0, np.inf, -np.inf).astype(np.float32)
    moved = np.nextafter(near, ways)
    near[100:] = moved[100:]
    if drawn is not None:  # no -0 beside the 0: which of them is the minimum, gguf and C differ
        near = np.abs(near)
        near[:, :2] = drawn[:, :2]
    else:
        near[::3, 0] = (scale[::3, 0] * {"q8_0": 127.0}.get(scheme, 8.0)).astype(np.float32)
    normal = rng.standard_normal(8192).astype(np.float32)
    ends = np.zeros(32, np.float32)
    return [block_case("block_quantize", scheme, x) for x in (near.reshape(-1), normal, ends)]


def _family(
    op: str,
    schemes: tuple[str, ...],
    axes: dict[str, tuple[AxisValue, ...]],
) -> Arithmetic:
    reads = op == "block_dequantize"
    return Arithmetic(
        op=op,
        schemes=schemes,
        axes=MappingProxyType(axes),
        spec=MappingProxyType({axis: values[0] for axis, values in axes.items()}),
        clause=_CLAUSE,
        compute=_decode if reads else _encode,
        exact=_decode_exact if reads else _encode_exact,
        probes=_bytes_probes if reads else _float_probes,
        element=_block_of,
    )


DECODED = (
    _family("block_dequantize", _NIBBLES, {"nibbles": ("halves", "pairs")}),
    _family("block_dequantize", tuple(b for b in BLOCKS if b not in _NIBBLES), {}),
)
"""Decoders: those in which a nibble may be misplaced, and the others."""

ENCODED = (
    _family("block_quantize", _LEGACY, {"contraction": ("separate", "fused")}),
    _family("block_quantize", ("q8_0",), {"flavour": _FLAVOURS}),
)
"""Encoders whose bytes are arithmetic, and no search."""
