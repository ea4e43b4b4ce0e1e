"""Inputs that lean on what codebooks differ in: midpoints, their neighbours, special blocks."""

import hashlib
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

ABSMAXES = (1.0, -1.0, 3.7, -0.013, 6.1e4, 2.0**-120, 2.0**100)


def neighbours(x: F32, steps: int = 2) -> F32:
    """Every value of ``x``, and as many floats below and above it."""
    out = [x]
    for end in (-np.inf, np.inf):
        y = x
        for _ in range(steps):
            y = np.nextafter(y, np.float32(end))
            out.append(y)
    return np.concatenate(out).astype(np.float32)


def blocks_around(bounds: F32, *, block_size: int) -> F32:
    """Full blocks of every bound times an absmax, and neighbours; the absmax comes first."""
    blocks = []
    for absmax in ABSMAXES:
        near = neighbours((bounds * np.float32(absmax)).astype(np.float32))
        near = np.concatenate([near, -near])
        near = near[np.abs(near) <= abs(np.float32(absmax))]
        for start in range(0, near.size, block_size - 1):
            part = near[start : start + block_size - 1]
            block = np.zeros(block_size, np.float32)
            block[0] = absmax
            block[1 : 1 + part.size] = part
            blocks.append(block)
    return np.concatenate(blocks)


def special_blocks(*, block_size: int) -> dict[str, F32]:
    """One block each, by name."""
    special: dict[str, list[float]] = {
        "zeros": [0.0],
        "negative zeros": [-0.0] * block_size,
        "one outlier": [1e30, 1e-3, -1e-3],
        "subnormal": [1e-40, -1e-40, 5e-41, 1e-45],
        "near the smallest normal": [1.2e-38, -1.2e-38, 6e-39],
        "largest": [3.4028235e38, -3.4028235e38, 1e38],
        "negative absmax": [-2.0, 1.0, 0.5],
    }
    out = {}
    for name, values in special.items():
        block = np.zeros(block_size, np.float32)
        block[: len(values)] = values
        out[name] = block
    return out


def unusual_blocks(*, block_size: int) -> dict[str, F32]:
    """Blocks with NaN and infinities."""
    out = {}
    for name, value in {"nan": np.nan, "inf": np.inf, "negative inf": -np.inf}.items():
        block = np.zeros(block_size, np.float32)
        block[:4] = [1.0, value, -0.5, 0.25]
        out[name] = block
    out["only nan"] = np.full(block_size, np.nan, np.float32)
    return out


def many(seed: int, *, count: int) -> Any:
    """Plain normal values: they find little, and what they find is a gross error."""
    return np.random.default_rng(seed).standard_normal(count).astype(np.float32)


def digest_of_torch(module: ModuleType, bounds: F32) -> str:
    """SHA-256, 16 digits, of packed codes and absmax of ``bnb_torch``, for a recorded one."""
    x = blocks_around(bounds, block_size=32)
    x = np.concatenate([x, *special_blocks(block_size=32).values(), x[:13]])
    q = module.quantize(x, block_size=32, flavour="bnb_torch")
    return hashlib.sha256(module.pack(q.codes).tobytes() + q.absmax.tobytes()).hexdigest()[:16]
