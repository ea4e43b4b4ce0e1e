"""Each property of ``qdq_laws`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import WhateverTheSeed


class TestQdqLaws(WhateverTheSeed):
    module = "qdq_laws"
    bases = ("onnx", "torch", "tflite_builtin")
    seeded = ("onnx", "xnnpack", "tflite_reference", "fbgemm", "ort")
