"""Each property of ``rq`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import WhateverTheSeed


class TestRq(WhateverTheSeed):
    module = "rq"
    bases = ("onnx", "torch", "tflite_builtin")
    seeded = ("onnx", "xnnpack", "tflite_reference", "fbgemm", "ort")
