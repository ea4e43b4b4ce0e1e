"""RQ-10: the reference meets them, and the bugs that name them are found."""

from tests.conformance.properties_of import PropertiesOf


class TestRqWide(PropertiesOf):
    module = "rq_wide"
