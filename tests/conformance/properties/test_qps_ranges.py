"""Each property of ``qps_ranges`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import WhateverTheSeed


class TestQpsRanges(WhateverTheSeed):
    module = "qps_ranges"
    bases = ("onnx", "torch", "tflite_builtin")
    seeded = ("onnx", "xnnpack", "tflite_reference", "fbgemm", "ort")
