"""Each property of ``op`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import WhateverTheSeed


class TestOp(WhateverTheSeed):
    module = "op"
    seeded = ("xnnpack", "tflite_reference", "tflite_builtin", "ort")
