"""PK-06, PK-09 and PK-10: the reference meets them, and the bugs that name them are found."""

from tests.conformance.properties_of import PropertiesOf


class TestPkLayers(PropertiesOf):
    module = "pk_layers"
