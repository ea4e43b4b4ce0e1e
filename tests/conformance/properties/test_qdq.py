"""The group QDQ is whole: 23 ids, each registered by one of its files."""

from refquant_conformance.properties import PROPERTIES, qdq
from tests.conformance.planted import of_module


def test_every_id_is_there() -> None:
    named = sorted(i for kind in qdq.KINDS for i in of_module(kind.__name__.rpartition(".")[2]))
    assert named == [f"QDQ-{k:02}" for k in range(1, 24)], f"{named}"
    assert all(PROPERTIES[i].clause for i in named), "a property cites no clause"
