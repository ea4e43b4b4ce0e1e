"""The same library, whose quantizer rounds ties away from zero, and does not say so."""
# ruff: noqa: D101, D102  the protocol says what each method is

import numpy as np
from backend import Backend as Even


class Backend(Even):
    def declared(self, op):  # what you claim, by axis; an axis that you leave out is found out
        return {"rounding": "half_even"} if op == "quantize_linear" else None

    def quantize_linear(self, x, scale, zero_point=0):
        with np.errstate(all="ignore"):
            v = x / scale
            q = np.trunc(v + np.copysign(np.float32(0.5), v)) + np.float32(zero_point)
        return np.clip(np.nan_to_num(q, nan=0.0), -128, 127).astype(np.int8)
