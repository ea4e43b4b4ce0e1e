"""Each property of ``ff_rounding`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import PropertiesOf


class TestFfRounding(PropertiesOf):
    module = "ff_rounding"
    bases = ("onnx", "tflite_reference")
