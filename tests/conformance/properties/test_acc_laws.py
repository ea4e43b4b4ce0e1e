"""Each property of ``acc_laws`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import WhateverTheSeed


class TestAccLaws(WhateverTheSeed):
    module = "acc_laws"
    seeded = ("xnnpack", "tflite_reference", "tflite_builtin", "ort")
    unasked = ("ACC-16",)  # the reference has no knobs
