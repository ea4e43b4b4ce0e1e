"""Each property of ``op_norm`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import WhateverTheSeed


class TestOpNorm(WhateverTheSeed):
    module = "op_norm"
    seeded = ("xnnpack", "ort")
