"""BS-09: the reference meets them, and the bugs that name them are found."""

from tests.conformance.properties_of import PropertiesOf


class TestBsCodebooks(PropertiesOf):
    module = "bs_codebooks"
