"""Whether a planted bug is found: by whom, with every seed, and what a survivor is."""

from dataclasses import replace

from refquant_conformance.mutants import MUTANTS
from refquant_conformance.mutants.kill import Kill, kill
from refquant_conformance.profiles import PROFILES

HALF_AWAY = MUTANTS["half_away"]


def test_a_bug_is_killed_by_the_property_that_it_names() -> None:
    found = kill(HALF_AWAY, PROFILES["ci"], [0, 1], matrix=False)
    assert found.killed_by == (HALF_AWAY.killed_by,), f"{found.killed_by}"
    assert found.as_expected, "it was found, and counts as a survivor"


def test_a_bug_that_another_property_should_find_survives() -> None:
    elsewhere = replace(HALF_AWAY, killed_by="X-12")
    found = kill(elsewhere, PROFILES["ci"], [0], matrix=False)
    assert found == Kill(elsewhere, ()), f"X-12 found it: {found.killed_by}"
    assert not found.as_expected, "nobody found it, and it counts as killed"
