"""What the processor of a test run has, as NumPy found it."""

from typing import Any

import numpy as np

__all__ = ["FUSED"]


def _fused() -> bool:
    """Whether NumPy's exponential and tangent are vector code of fused operations: x86 with FMA."""
    found: Any = np.show_config(mode="dicts")
    return "X86_V3" in found["SIMD Extensions"].get("found", []) or "FMA3" in found[
        "SIMD Extensions"
    ].get("found", [])


FUSED = _fused()
