"""BS-06 and BS-07 hold of the reference, and find the bugs that name them."""

from tests.conformance.properties_of import PropertiesOf


class TestBsProducts(PropertiesOf):
    module = "bs_products"
