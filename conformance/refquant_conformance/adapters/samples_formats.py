"""Samples of packed codes, of blocks, and of files: bytes that mean something.

Blocks of bytes are all zero: scales of zero, codes of zero. That decodes, whatever the format.
"""

import numpy as np

from refquant.formats.ggml.types import ggml_type
from refquant_conformance.adapters.samples_files import seed_file
from refquant_conformance.operators import types_of
from refquant_conformance.protocol import Array, Case, Param

__all__ = ["of_format"]


def of_format(op: str, scheme: str) -> Case:
    """Return a small case of an operator on bytes.

    >>> of_format("pack", "u3").inputs["x"].tolist()
    [0, 1, 0, 1, 0, 1, 0, 1]
    """
    types = types_of(op, scheme)
    params: dict[str, Param] = {}
    x: Array
    if op in ("pack", "unpack"):
        bits = int(scheme[1:])
        count = 16 if bits == 2 else 8  # of two bits, or of four: a word of 32
        params = {"num_bits": bits, "count": count}
        x = np.arange(count) % 2 if op == "pack" else np.zeros(bits * count // 8)
        x = x.astype(np.int8 if op == "pack" and scheme[0] == "i" else np.uint8)
    elif op == "load":
        x = np.frombuffer(seed_file(scheme), np.uint8)
    else:
        kind = ggml_type(scheme)
        size = 256 // kind.block_size * kind.block_bytes
        ramp = (np.arange(256) % 17 - 8).astype(np.float32)
        x = ramp if op == "block_quantize" else np.zeros(size, np.uint8)
    return Case(op, scheme, {"x": x}, params, types=types)
