"""Each property of ``qdq_rounding`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import WhateverTheSeed


class TestQdqRounding(WhateverTheSeed):
    module = "qdq_rounding"
    bases = ("onnx", "torch", "tflite_builtin")
    seeded = ("onnx", "xnnpack", "tflite_reference", "fbgemm", "ort")
