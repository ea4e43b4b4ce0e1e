"""The group FF is complete."""

from refquant_conformance.properties import PROPERTIES


def test_every_property_of_the_group_is_registered() -> None:
    found = {identifier for identifier in PROPERTIES if identifier.startswith("FF-")}
    assert found == {f"FF-{k:02}" for k in range(1, 15)}, f"{sorted(found)}"
