"""Each property of ``acc_weights`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import WhateverTheSeed


class TestAccWeights(WhateverTheSeed):
    module = "acc_weights"
    seeded = ("xnnpack", "ort")
