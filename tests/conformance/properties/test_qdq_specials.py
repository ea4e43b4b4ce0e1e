"""Each property of ``qdq_specials`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import WhateverTheSeed


class TestQdqSpecials(WhateverTheSeed):
    module = "qdq_specials"
    bases = ("onnx", "torch", "tflite_builtin")
    seeded = ("onnx", "xnnpack", "tflite_reference", "fbgemm", "ort")
