"""The group QPS has 13 of its 14 ids: QPS-14 speaks of observers, which no operator names."""

from refquant_conformance.properties import qps
from tests.conformance.planted import of_module


def test_every_id_is_there() -> None:
    named = sorted(i for kind in qps.KINDS for i in of_module(kind.__name__.rpartition(".")[2]))
    assert named == [f"QPS-{k:02}" for k in range(1, 14)], f"{named}"
