"""``onnxruntime.capi``: where scripts find the exceptions."""

from refquant_runtime.compat.onnxruntime.capi import onnxruntime_pybind11_state

__all__ = ["onnxruntime_pybind11_state"]
