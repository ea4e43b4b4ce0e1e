"""Calls of a library that is none: what the machinery of adapters of libraries is tried with."""

from collections.abc import Mapping
from typing import Any

import numpy as np

KNOBS = {"threads": 0}


def configure(threads: int = 1) -> None:
    """Keep the knob."""
    KNOBS["threads"] = threads


def compute(
    op: str,
    inputs: Mapping[str, Any],
    params: Mapping[str, Any],
    types: Mapping[str, Any],
    setting: str,
) -> dict[str, Any]:
    """Return floor(x / s), int8 of float32 only; refuse a scale of 2 in four ways."""
    if types["y"] != "int8" or inputs["scale"].ndim or inputs["x"].dtype != np.float32:
        raise NotImplementedError("int8 only\n\nand one scale")
    scale = float(inputs["scale"])
    if scale == 2:
        raise {"": ValueError, "loud": RuntimeError}[setting]("no scale of 2")
    steps = np.floor(inputs["x"] / np.float32(scale)) + np.float32(inputs["zero_point"])
    return {"y": np.clip(steps, -128, 127).astype(np.int8)}
