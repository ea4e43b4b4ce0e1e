"""Each property of ``ff_specials`` holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import PropertiesOf


class TestFfSpecials(PropertiesOf):
    module = "ff_specials"
    bases = ("onnx", "tflite_reference")
