"""Calls of bitsandbytes.

This file needs NumPy, PyTorch and bitsandbytes only; programs that repeat a case hold it.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]


def configure(threads: int = 1) -> None:
    """Set the threads."""
    importlib.import_module("torch").set_num_threads(threads)


def tensor(array: Any) -> Any:
    """Return a tensor of the same elements, in its own memory."""
    return importlib.import_module("torch").from_numpy(np.array(array, order="C"))


def _codebook(functional: Any, x: Any, params: Arrays) -> dict[str, Any]:
    """Return the codes of a row, one each, and the largest magnitude of each block."""
    kind, size = str(params["book"]).removeprefix("bnb_"), int(params["block_size"])
    packed, state = functional.quantize_4bit(tensor(x), blocksize=size, quant_type=kind)
    data = packed.numpy().reshape(-1)
    codes = np.stack([data >> 4, data & 15], axis=1).reshape(-1)[: x.size]
    return {"y": codes.astype(np.uint8), "absmax": state.absmax.numpy()}


def compute(op: str, inputs: Arrays, params: Arrays, types: Arrays, setting: str) -> dict[str, Any]:
    """Return the outputs of one operator."""
    functional: Any = importlib.import_module("bitsandbytes.functional")
    if op == "codebook_quantize":
        return _codebook(functional, inputs["x"], params)
    if any(np.any(inputs.get(f"{name}_zero_point", 0)) for name in "ab"):
        raise NotImplementedError("int8_linear_matmul has no zero points")
    if inputs["a"].dtype != np.int8 or inputs["b"].dtype != np.int8:
        raise NotImplementedError("int8_linear_matmul takes int8")
    made = functional.int8_linear_matmul(tensor(inputs["a"]), tensor(inputs["b"].T))
    return {"y": made.numpy()}
