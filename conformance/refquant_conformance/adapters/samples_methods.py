"""Samples of operators of weights and methods: small, and with nothing that anybody refuses."""

import numpy as np

from refquant.formats.ggml import codec
from refquant.formats.ggml.types import ggml_type
from refquant_conformance.adapters.samples_files import seed_file
from refquant_conformance.operators import types_of
from refquant_conformance.protocol import Array, Case, Param

__all__ = ["OF_METHODS", "of_method"]


def _ramp(*shape: int) -> Array:
    """Return reals between -2 and 2 that are no multiples of each other."""
    count = int(np.prod(shape))
    return (((np.arange(count) * 37) % 101 - 50) / 25).astype(np.float32).reshape(shape)


def _layer(op: str) -> tuple[dict[str, Array], dict[str, Param]]:
    if op == "layer_pack":
        x = (np.arange(64 * 32) * 7 % 16).reshape(64, 32).astype(np.uint8)
        return {"x": x, "zeros": np.full((2, 32), 8, np.uint8)}, {"group_size": 32}
    words = np.full((8, 32), 0x76543210, np.int32)
    inputs = {
        "qweight": words,
        "qzeros": np.full((2, 4), 0x77777777, np.int32),
        "scales": np.full((2, 32), 0.5, np.float32),
    }
    return inputs, {"group_size": 32, "convention": "v1"}


def _awq(op: str) -> tuple[dict[str, Array], dict[str, Param]]:
    inputs, params = _layer(op)
    if op == "layer_unpack":
        inputs["qweight"] = np.full((64, 4), 0x76543210, np.int32)
        params["convention"] = "awq"
    return inputs, params


def _blocks(scheme: str) -> tuple[dict[str, Array], dict[str, Param]]:
    kind = ggml_type(scheme)
    size = 2 * 256 // kind.block_size * kind.block_bytes
    try:
        w = codec.encode(_ramp(512), type=scheme)
    except (NotImplementedError, ValueError):
        w = np.zeros(size, np.uint8)
    return {"x": _ramp(2, 256), "w": w.reshape(2, -1)}, {}


def _wide() -> tuple[dict[str, Array], dict[str, Param]]:
    half = np.float32(0.5)
    scales = {name: np.asarray(half) for name in ("a_scale", "b_scale")}
    a = (np.arange(16) * 1000 - 8000).astype(np.int16).reshape(2, 8)
    b = (np.arange(24) - 12).astype(np.int8).reshape(8, 3)
    return {"a": a, "b": b, **scales, "y_scale": np.asarray(np.float32(8.0))}, {}


def _hessian() -> tuple[dict[str, Array], dict[str, Param]]:
    return {"w": _ramp(4, 16), "h": np.eye(16)}, {"act_order": 0}


OF_METHODS = (
    *("layer_pack", "layer_unpack", "codebook_quantize", "block_matmul", "wide_matmul"),
    *("gptq_quantize", "scale_channels", "rotate", "calibrate", "stochastic_cast", "save"),
)
"""The operators that this file has samples of."""


def of_method(op: str, scheme: str) -> Case:
    """Return a small case.

    >>> of_method("rotate", "f32").inputs["x"].shape
    (2, 16)
    """
    params: dict[str, Param] = {}
    inputs: dict[str, Array]
    if op in ("layer_pack", "layer_unpack"):
        inputs, params = _awq(op) if scheme == "awq" else _layer(op)
    elif op == "block_matmul":
        inputs, params = _blocks(scheme)
    elif op == "wide_matmul":
        inputs, params = _wide()
    elif op == "gptq_quantize":
        inputs, params = _hessian()
    elif op == "scale_channels":
        inputs = {"w": _ramp(4, 16), "x": _ramp(8, 16)}
    elif op == "save":
        inputs = {"x": np.frombuffer(seed_file(scheme), np.uint8)}
    elif op == "codebook_quantize":
        inputs, params = {"x": _ramp(128)}, {"block_size": 64, "book": scheme}
    elif op == "calibrate":
        inputs = {"x": _ramp(4, 250)}
    else:
        inputs = {"x": _ramp(2, 16)}
        params = {"inverse": 0} if op == "rotate" else {"seed": 1}
    return Case(op, scheme, inputs, params, types=types_of(op, scheme))
