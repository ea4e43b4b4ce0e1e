"""Each property BS holds of the reference, and finds the bug that names it."""

from tests.conformance.properties_of import PropertiesOf


class TestBs(PropertiesOf):
    module = "bs"
