"""Each property of ``acc`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import WhateverTheSeed


class TestAcc(WhateverTheSeed):
    module = "acc"
    seeded = ("xnnpack", "tflite_reference", "tflite_builtin", "ort")
