"""Calls of gfloat. This file needs NumPy and gfloat only; programs that repeat a case hold it."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]
FORMATS = {
    **{"float16": "binary16", "bfloat16": "bfloat16"},
    **{"float8_e4m3fn": "ocp_e4m3", "float8_e5m2": "ocp_e5m2", "float8_e8m0fnu": "ocp_e8m0"},
    **{"float6_e2m3fn": "ocp_e2m3", "float6_e3m2fn": "ocp_e3m2", "float4_e2m1fn": "ocp_e2m1"},
}
MODES = {"": "TiesToEven", "away": "TiesToAway", "zero": "TowardZero"}
BLOCK = 32


def format_of(name: str) -> Any:
    """Return gfloat's description of a type; NotImplementedError if it has none."""
    if name not in FORMATS:
        raise NotImplementedError(f"gfloat has no {name}")
    formats: Any = importlib.import_module("gfloat.formats")
    return getattr(formats, f"format_info_{FORMATS[name]}")


def compute(op: str, inputs: Arrays, params: Arrays, types: Arrays, setting: str) -> dict[str, Any]:
    """Return the outputs of one operator."""
    gfloat: Any = importlib.import_module("gfloat")
    mode, x = getattr(gfloat.RoundMode, MODES[setting]), inputs["x"]
    if op == "cast":
        if x.dtype.kind != "f":
            raise NotImplementedError("gfloat rounds floats")
        return {"y": _cast(gfloat, x, types["y"], mode, params.get("saturate"))}
    if op == "decode":
        codes = np.array(x, order="C").astype(np.int64)
        return {"y": gfloat.decode_ndarray(format_of(types["x"]), codes).astype(np.float32)}
    formats: Any = importlib.import_module("gfloat.formats")
    blocks = formats.format_info_mxfp4_e2m1  # the one MX format that is an operator here
    which = _real_blocks if op == "block_dequantize" else _coded_blocks
    return {"y": which(gfloat, blocks, x, mode)}


def _cast(gfloat: Any, x: Any, name: str, mode: Any, saturate: Any) -> Any:
    """Return codes; where a format has neither infinity nor NaN, gfloat must saturate or fail."""
    info = format_of(name)
    if saturate is None:
        saturate = info.num_nans == 0
    real = gfloat.round_ndarray(info, np.array(x), mode, bool(saturate))
    codes = gfloat.encode_ndarray(info, real)
    own = codes.astype(np.uint16 if name.endswith("16") else np.uint8)
    return own.view(np.float16) if name == "float16" else own


def _real_blocks(gfloat: Any, blocks: Any, x: Any, mode: Any) -> Any:
    """Return reals of blocks as ggml stores them: a scale, then elements j and j + 16 in a byte."""
    if x.shape[-1] % (1 + BLOCK // 2):
        raise ValueError("no whole number of blocks")
    rows = np.array(x).reshape(-1, 1 + BLOCK // 2).astype(np.int64)
    codes = np.concatenate([rows[:, :1], rows[:, 1:] & 15, rows[:, 1:] >> 4], axis=1)
    made = [list(gfloat.decode_block(blocks, row)) for row in codes.tolist()]
    shape = (*x.shape[:-1], -1)
    return np.array(made, np.float64).astype(np.float32).reshape(shape)


def _coded_blocks(gfloat: Any, blocks: Any, x: Any, mode: Any) -> Any:
    """Return blocks of reals, the scale by the largest element, as ``quantize_block`` does."""
    if x.shape[-1] % BLOCK:
        raise ValueError("no whole number of blocks")
    found = []
    for row in np.array(x).reshape(-1, BLOCK):
        scale = gfloat.compute_scale_amax(blocks.etype.emax, row)
        codes = np.array(list(gfloat.encode_block(blocks, scale, row / scale, mode)), np.uint8)
        low, high = codes[1 : 1 + BLOCK // 2], codes[1 + BLOCK // 2 :]
        found.append(np.concatenate([codes[:1], low | high << 4]))
    return np.array(found, np.uint8).reshape(*x.shape[:-1], -1)
