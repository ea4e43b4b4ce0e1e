"""BS-14 holds of the reference, and finds the bugs that name it."""

from tests.conformance.properties_of import PropertiesOf


class TestBsMethods(PropertiesOf):
    module = "bs_methods"
