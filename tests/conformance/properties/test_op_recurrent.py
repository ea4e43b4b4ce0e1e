"""Each property of ``op_recurrent`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import WhateverTheSeed


class TestOpRecurrent(WhateverTheSeed):
    module = "op_recurrent"
    seeded = ("xnnpack", "ort")
