"""Layers in containers: 4-bit codes and zero points as the tensors of GPTQ and AWQ checkpoints.

Eq. (1) of ``oracle_layers``. How a GPTQ checkpoint stores a zero point is the axis ``zeros`` of who
writes: ``v1`` (z - 1, and 0 is refused), ``v1_wrap`` (modulo 16), ``v2`` (z). Who reads is told the
convention, as a checkpoint's metadata says it; what a stored 15 of v1 means, 16 or 0, is the axis
``last_zero``, on which readers disagree. AWQ's layout (GEMM) leaves nothing open.

Left out: other widths, an order of columns (``g_idx``), Marlin's tiles.

References
----------
AutoGPTQ ``qlinear_cuda_old.py``, ``qlinear_cuda.py``; GPTQModel ``utils/model.py``; AutoAWQ
``utils/packing_utils.py``.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.contracts.axes import AxisValue
from refquant.formats.containers import awq, gptq
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Equal, Outputs
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_layers import (
    field_exact,
    stored_zero,
    weight_exact,
    word_exact,
)
from refquant_conformance.protocol import Array, Case

__all__ = ["LAYERS", "pack_layer", "unpack_layer"]

_IN, _OUT, GROUP = 64, 32, 32
_RULES = ("v1_wrap", "v1", "v2")
_CLAUSE = "AutoGPTQ qlinear_cuda.py (pack), AutoAWQ pack_intweight"


def pack_layer(scheme: str, x: Array, zeros: Array) -> Case:
    """Return the case of codes (in, out) and zero points (groups, out) that are packed."""
    inputs: dict[str, Array] = {"x": x.astype(np.uint8), "zeros": zeros.astype(np.uint8)}
    params = {"group_size": x.shape[0] // zeros.shape[0]}
    return Case("layer_pack", scheme, inputs, params, types=types_of("layer_pack", scheme))


def unpack_layer(scheme: str, words: Array, zeros: Array, scales: Array, convention: str) -> Case:
    """Return the case of a checkpoint's tensors that are read as its metadata says."""
    inputs = {"qweight": words, "qzeros": zeros, "scales": scales.astype(np.float32)}
    rows = words.shape[0] * (1 if scheme == "awq" else 8)
    params = {"group_size": rows // zeros.shape[0], "convention": convention}
    return Case("layer_unpack", scheme, inputs, params, types=types_of("layer_unpack", scheme))


def _pack(case: Case, axes: Axes) -> Outputs | None:
    codes, zeros = (np.ascontiguousarray(case.inputs[name].T) for name in ("x", "zeros"))
    size = int(case.params["group_size"])  # type: ignore[arg-type]  # a number, the catalogue says
    if case.scheme == "awq":
        packed = awq.pack_zeros(zeros, layout="gemm", group_size=size)
        return {"qweight": awq.pack(codes, layout="gemm").astype(np.int32), "qzeros": packed}
    try:
        packed = gptq.pack_zeros(zeros, num_bits=4, rule=str(axes["zeros"]))
    except ValueError:
        return None
    return {"qweight": gptq.pack(codes, num_bits=4), "qzeros": packed}


def _native(array: Array) -> Array:
    """Return an array in this machine's byte order."""
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))


def _unpack(case: Case, axes: Axes) -> Outputs | None:
    words, stored, scales = (_native(case.inputs[n]) for n in ("qweight", "qzeros", "scales"))
    size = int(case.params["group_size"])  # type: ignore[arg-type]  # a number, the catalogue says
    if case.scheme == "awq":
        codes = awq.unpack(words, layout="gemm")
        groups = stored.shape[0]
        zeros: Array = awq.unpack_zeros(stored, layout="gemm", group_size=size, groups=groups)
    else:
        codes = gptq.unpack(words, num_bits=4)
        rule = "v2" if case.params["convention"] == "v2" else "v1"
        if rule == "v1" and axes["last_zero"] == "zero":
            rule = "v1_wrap"
        zeros = gptq.unpack_zeros(stored, num_bits=4, rule=rule)
    wide = np.repeat(zeros.astype(np.int32), size, axis=1)
    off = (codes.astype(np.int32) - wide).T.astype(np.float32)
    return {"y": off * np.repeat(scales, size, axis=0)}


def _pack_exact(case: Case, axes: Axes, output: str, index: int) -> int | None:
    x, zeros = case.inputs["x"], case.inputs["zeros"]
    of_awq = case.scheme == "awq"
    if output == "qweight" and not of_awq:
        w, n = divmod(index, x.shape[1])
        return word_exact([int(c) for c in x[8 * w : 8 * w + 8, n]], awq=False)
    source = x if output == "qweight" else zeros
    row, w = divmod(index, source.shape[1] // 8)
    fields: list[int | None] = [int(c) for c in source[row, 8 * w : 8 * w + 8]]
    if output == "qzeros" and not of_awq:
        fields = [stored_zero(int(c), str(axes["zeros"])) for c in fields if c is not None]
    told = [field for field in fields if field is not None]
    return word_exact(told, awq=of_awq) if len(told) == 8 else None


def _unpack_exact(case: Case, axes: Axes, output: str, index: int) -> float | None:
    words, stored, scales = (case.inputs[n] for n in ("qweight", "qzeros", "scales"))
    k, n = divmod(index, scales.shape[1])
    group = k // int(case.params["group_size"])  # type: ignore[arg-type]  # a number
    of_awq = case.scheme == "awq"
    word = int(words[k, n // 8]) if of_awq else int(words[k // 8, n])
    code = field_exact(word, n % 8 if of_awq else k % 8, awq=of_awq)
    zero = field_exact(int(stored[group, n // 8]), n % 8, awq=of_awq)
    if not of_awq and case.params["convention"] != "v2":
        zero += 1
        if zero == 16 and axes["last_zero"] == "zero":
            zero = 0
    return weight_exact(code, zero, float(scales[group, n]))


def _drawn(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).integers(0, 16, shape)


def _probes(op: str, scheme: str) -> Sequence[Case]:
    if op == "layer_pack":
        x, zeros = _drawn(1, _IN, _OUT), _drawn(2, _IN // GROUP, _OUT)
        return [pack_layer(scheme, x, np.maximum(zeros, 1)), pack_layer(scheme, x, zeros)]
    shape = (_IN, _OUT // 8) if scheme == "awq" else (_IN // 8, _OUT)
    rng = np.random.default_rng(3)
    words = rng.integers(-(2**31), 2**31, shape).astype(np.int32)
    stored = rng.integers(-(2**31), 2**31, (_IN // GROUP, _OUT // 8)).astype(np.int32)
    scales = np.exp2(rng.uniform(-4, 4, (_IN // GROUP, _OUT)))
    told = ("awq",) if scheme == "awq" else ("v1", "v2")
    return [unpack_layer(scheme, words, stored, scales, convention) for convention in told]


def _whole(case: Case, index: int) -> Case:
    """Return the case: containers have no smaller one."""
    return replace(case)


def _family(op: str, scheme: str, axes: dict[str, tuple[AxisValue, ...]]) -> Arithmetic:
    equal: tuple[Equal, ...] = ()
    return Arithmetic(
        op=op,
        schemes=(scheme,),
        axes=MappingProxyType(axes),
        spec=MappingProxyType(dict.fromkeys(axes, None)),
        clause=_CLAUSE,
        compute=_pack if op == "layer_pack" else _unpack,
        exact=_pack_exact if op == "layer_pack" else _unpack_exact,
        probes=lambda name: _probes(op, name),
        element=_whole,
        equal=equal,
    )


LAYERS = (
    _family("layer_pack", "gptq", {"zeros": _RULES}),
    _family("layer_pack", "awq", {}),
    _family("layer_unpack", "gptq", {"last_zero": ("sixteen", "zero")}),
    _family("layer_unpack", "awq", {}),
)
"""Writers and readers of the two containers."""
