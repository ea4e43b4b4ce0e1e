"""Each property of ``op_movement`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import WhateverTheSeed


class TestOpMovement(WhateverTheSeed):
    module = "op_movement"
    seeded = ("xnnpack", "tflite_reference", "tflite_builtin", "ort")
