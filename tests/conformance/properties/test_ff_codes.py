"""Each property of ``ff_codes`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import PropertiesOf


class TestFfCodes(PropertiesOf):
    module = "ff_codes"
    bases = ("onnx", "tflite_reference")
