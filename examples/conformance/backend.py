"""Three operators in NumPy as a backend: refquant-conformance run --backend backend:Backend."""
# ruff: noqa: D101, D102  the protocol says what each method is

import numpy as np

from refquant_conformance.protocol import Capability, Info, Result, Unsupported


class Backend:
    def info(self):
        return Info("my library", "1.0")

    def capabilities(self):
        return [
            Capability("quantize_linear", "f32_i8"),
            Capability("dequantize_linear", "i8_f32"),
            Capability("matmul_integer", "i8_i8"),
        ]

    def run(self, case):
        if Capability(case.op, case.scheme) not in self.capabilities():
            raise Unsupported("int8 only, one scale a tensor")
        return Result({"y": getattr(self, case.op)(**case.inputs)})

    def quantize_linear(self, x, scale, zero_point=0):
        with np.errstate(all="ignore"):
            q = np.rint(x / scale) + np.float32(zero_point)
        return np.clip(np.nan_to_num(q, nan=0.0), -128, 127).astype(np.int8)

    def dequantize_linear(self, x, scale, zero_point=0):
        return (x.astype(np.int32) - zero_point).astype(np.float32) * scale

    def matmul_integer(self, a, b, a_zero_point=0, b_zero_point=0):
        return (a.astype(np.int32) - a_zero_point) @ (b.astype(np.int32) - b_zero_point)
