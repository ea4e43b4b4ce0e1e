"""Each property PK holds of the reference, and finds the bug that names it."""

from refquant_conformance.properties.pk import BY_HAND
from tests.conformance.properties_of import PropertiesOf


class TestPk(PropertiesOf):
    module = "pk"


def test_what_is_written_by_hand_has_the_length_of_thirty_two_codes() -> None:
    for (scheme, order), text in BY_HAND.items():
        assert len(text) == 8 * int(scheme[1:]), f"{scheme} {order}"
