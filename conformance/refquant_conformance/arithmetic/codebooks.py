"""Codebooks of 4 bits: NF4 and the FP4 of bitsandbytes, as codes and one magnitude a block.

Eq. (1) of ``oracle_codebooks``: the axis ``cuts`` says where a level ends, at float32 ``midpoints``
of the levels (bitsandbytes in PyTorch) or at nine-digit ``literals`` (its C and CUDA, onnxruntime).
Ties go to the lower level, in both.

Left out: blocks of zeros, NaN and infinities, where the flavours of ``formats/absmax_blocks.py``
differ for reasons that are not the codebook's; ragged blocks.

References
----------
bitsandbytes ``backends/default/ops.py``, ``csrc/kernels.cu``; onnxruntime
``blockwise_quant_block_bnb4.h``.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.formats import bnb_fp4, nf4
from refquant.formats.codebook import midpoints
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_codebooks import code_exact, largest_exact
from refquant_conformance.protocol import Array, Case, Param

__all__ = ["CODEBOOKS", "codebook_case", "cuts_of"]

_BLOCK = 64
_FLAVOUR = {"midpoints": "bnb_torch", "literals": "ort"}


def codebook_case(scheme: str, x: Array) -> Case:
    """Return the case of a row in blocks of 64."""
    types = types_of("codebook_quantize", scheme)
    inputs: dict[str, Array] = {"x": x.astype(np.float32)}
    params: dict[str, Param] = {"block_size": _BLOCK, "book": scheme}
    return Case("codebook_quantize", scheme, inputs, params, types=types)


def cuts_of(scheme: str) -> Array:
    """Return every number at which some flavour goes on to the next level, float32, ascending."""
    if scheme == "nf4":
        return np.sort(np.concatenate([midpoints(nf4.NF4), nf4.THRESHOLDS]))
    middles = midpoints(np.sort(bnb_fp4.BNB_FP4))
    return np.sort(np.concatenate([middles, bnb_fp4.THRESHOLDS, -bnb_fp4.THRESHOLDS]))


def _compute(case: Case, axes: Axes) -> Outputs | None:
    book = nf4 if case.scheme == "nf4" else bnb_fp4
    size = int(case.params["block_size"])  # type: ignore[arg-type]  # a number, the catalogue says
    x = np.ascontiguousarray(case.inputs["x"])
    made = book.quantize(x, block_size=size, flavour=_FLAVOUR[str(axes["cuts"])])
    return {"y": made.codes, "absmax": made.absmax}


def _exact(case: Case, axes: Axes, output: str, index: int) -> int | float | None:
    size = int(case.params["block_size"])  # type: ignore[arg-type]  # a number, the catalogue says
    flat = [float(v) for v in case.inputs["x"].reshape(-1)]
    block = index if output == "absmax" else index // size
    own = flat[block * size : block * size + size]
    if output == "absmax":
        return largest_exact(own)
    return code_exact(case.scheme, own, index % size, literals=axes["cuts"] == "literals")


def _probes(scheme: str) -> Sequence[Case]:
    cuts = cuts_of(scheme)
    beside = np.concatenate([np.nextafter(cuts, np.float32(way)) for way in (-2, 2)])
    near = np.concatenate([cuts, beside])
    rows = near[: near.size // 63 * 63].reshape(-1, 63)
    rest = np.resize(near[::-1], (1, 63))
    ones = np.concatenate([np.insert(r, 0, 1, axis=1) for r in (rows, rest)]).reshape(-1)
    normal = np.random.default_rng(4).standard_normal(4 * _BLOCK)
    return [codebook_case(scheme, x) for x in (ones, ones * np.float32(0.75), normal)]


def _element(case: Case, index: int) -> Case:
    """Return the case of the block that holds a code."""
    size = int(case.params["block_size"])  # type: ignore[arg-type]  # a number, the catalogue says
    block = index // size
    return replace(case, inputs={"x": case.inputs["x"][block * size : block * size + size]})


CODEBOOKS = Arithmetic(
    op="codebook_quantize",
    schemes=("nf4", "bnb_fp4"),
    axes=MappingProxyType({"cuts": ("midpoints", "literals")}),
    spec=MappingProxyType({"cuts": None}),
    clause="QLoRA appendix E: the nearest level of the block's value over its largest magnitude",
    compute=_compute,
    exact=_exact,
    probes=_probes,
    element=_element,
)
"""Both codebooks."""
