"""What the reference computes of operators that have laws, and no arithmetic.

Each function takes a case and returns the outputs. ``ValueError`` refuses the inputs,
``NotImplementedError`` says that the reference does not compute this.
"""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

import numpy as np

from refquant.algorithms.awq import output_loss, round_groups, search_scale
from refquant.algorithms.gptq import GptqSettings, gptq_affine
from refquant.algorithms.gptq_target import AffineTarget
from refquant.algorithms.rtn import min_max
from refquant.algorithms.smoothquant import smoothing_scale
from refquant.calibration import observer
from refquant.contracts import preset
from refquant.formats.ggml import codec
from refquant.formats.gguf import parse_gguf
from refquant.formats.gguf.write import gguf_bytes
from refquant.model.rq import parse_rq, rq_bytes
from refquant.numerics.dot import matmul_f32
from refquant.numerics.hadamard import rotate
from refquant.numerics.minifloat import encode
from refquant.numerics.minifloat_formats import float_format
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic.base import Outputs
from refquant_conformance.operators import OPERATORS
from refquant_conformance.protocol import Array, Capability, Case

__all__ = ["METHODS", "method_cells", "saved"]


def _block_matmul(case: Case) -> Outputs:
    """Decode the rows, then multiply in float32, ascending."""
    x, data = case.inputs["x"], case.inputs["w"]
    with np.errstate(all="ignore"):
        rows = [codec.decode(np.ascontiguousarray(row), type=case.scheme) for row in data]
        return {"y": matmul_f32(np.ascontiguousarray(x), np.stack(rows).T.copy())}


def _gptq(case: Case) -> Outputs:
    w, h = np.ascontiguousarray(case.inputs["w"]), np.ascontiguousarray(case.inputs["h"])
    target = AffineTarget(dtype="int4", symmetric=True, contract=preset("gptq"), clip=min_max)
    settings = GptqSettings(act_order=bool(case.params.get("act_order")), damp=2.0**-20)
    made = gptq_affine(w, h, target=target, settings=settings)
    return {"y": made.codes.astype(np.int8), "scale": made.scale.astype(np.float32)}


def _scale_channels(case: Case) -> Outputs:
    w, x = np.ascontiguousarray(case.inputs["w"]), np.ascontiguousarray(case.inputs["x"])
    if case.scheme == "smoothquant":
        scale = smoothing_scale(np.abs(x).max(axis=0), [w], alpha=0.5)
    else:
        wide = x.astype(np.float64)
        scale = search_scale(
            [w],
            np.abs(x).mean(axis=0),
            loss=output_loss([w], wide.T @ wide),
            rounding=lambda v: round_groups(v, num_bits=4, group_size=16),
            group_size=16,
            flavour="autoawq",
        ).scale
    return {"y": np.asarray(w * scale, np.float32), "scale": np.asarray(scale, np.float32)}


def _rotate(case: Case) -> Outputs:
    x = np.ascontiguousarray(case.inputs["x"])
    signs = np.ones(x.shape[-1], np.int8)
    return {"y": rotate(x, signs, inverse=bool(case.params.get("inverse")))}


def _calibrate(case: Case) -> Outputs:
    if case.scheme == "histogram":
        raise NotImplementedError("an observer of PyTorch")
    state = observer(case.scheme, {})
    for row in np.ascontiguousarray(case.inputs["x"]):
        state = state.update(row)
    low, high = state.range()
    count = int(state.histogram.counts.sum())  # type: ignore[attr-defined]  # these three have one
    ends = {"low": np.asarray(low, np.float32), "high": np.asarray(high, np.float32)}
    return {**ends, "count": np.asarray(count, np.int64)}


def _stochastic(case: Case) -> Outputs:
    form = float_format({"bf16": "bf16"}.get(case.scheme[4:], case.scheme[4:]))
    x = np.ascontiguousarray(case.inputs["x"])
    rng = np.random.default_rng(int(case.params.get("seed") or 0))  # type: ignore[arg-type]  # a number, the catalogue says
    bits = rng.integers(0, 1 << 16, x.shape, np.uint32)
    codes = encode(x, form, rounding="stochastic", bits=bits, num_bits=16)
    return {"y": codes.astype(np.uint16 if case.scheme == "f32_bf16" else np.uint8)}


def saved(file_format: str, data: bytes) -> bytes:
    """Return the bytes of a file that was read and written again."""
    if file_format == "rq":
        return rq_bytes(parse_rq(data, name="the file"))
    if file_format == "gguf":
        read = parse_gguf(data, name="the file")
        return gguf_bytes(read.metadata, list(read.tensors.values()))
    raise NotImplementedError(f"the reference writes rq and gguf, not {file_format}")


def _save(case: Case) -> Outputs:
    y: Array = np.frombuffer(saved(case.scheme, case.inputs["x"].tobytes()), np.uint8)
    return {"y": y}


METHODS: Mapping[str, Callable[[Case], Outputs]] = MappingProxyType(
    {
        "block_matmul": _block_matmul,
        "gptq_quantize": _gptq,
        "scale_channels": _scale_channels,
        "rotate": _rotate,
        "calibrate": _calibrate,
        "stochastic_cast": _stochastic,
        "save": _save,
    }
)
"""By operator."""


@cache
def method_cells() -> tuple[Capability, ...]:
    """Return the cells that the reference computes.

    >>> [cell.scheme for cell in method_cells() if cell.op == "save"]
    ['gguf', 'rq']
    """
    return tuple(Capability(op, s) for op in METHODS for s in OPERATORS[op].schemes if _has(op, s))


def _has(op: str, scheme: str) -> bool:
    try:
        METHODS[op](sample(op, scheme))
    except NotImplementedError:
        return False
    return True
