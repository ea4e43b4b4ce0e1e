"""Each property of ``op_functions`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import WhateverTheSeed


class TestOpFunctions(WhateverTheSeed):
    module = "op_functions"
    seeded = ("xnnpack", "tflite_reference", "tflite_builtin", "ort")
