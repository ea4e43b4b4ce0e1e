"""Bugs of the host, memory, threads and modes: each is found by the property it names, first."""

import pytest

from refquant_conformance.judge import judge
from refquant_conformance.mutants import MUTANTS, hosts, load
from refquant_conformance.mutants.mutant import Host, Mutant
from refquant_conformance.profiles import PROFILES
from refquant_conformance.protocol import Capability
from refquant_conformance.subject import Local

X = tuple(f"X-{n:02}" for n in (*range(1, 17), 18, 19))


@pytest.mark.parametrize("mutant", hosts.MUTANTS, ids=lambda mutant: mutant.name)
def test_the_first_property_that_finds_it_is_the_one_it_names(mutant: Mutant) -> None:
    found = judge(Local(load(mutant.name), f"mutant:{mutant.name}"), properties=X)
    red = sorted(cell.property for cell in found.cells if cell.verdict == "FAILS")
    assert red, f"{mutant.name} survived: {[(c.property, c.verdict) for c in found.cells]}"
    assert red[0] == mutant.killed_by, f"{mutant.name} is first found by {red}"


def test_every_one_is_listed_and_its_backend_is_of_its_kind() -> None:
    assert len({mutant.name for mutant in hosts.MUTANTS}) == len(hosts.MUTANTS), "a name twice"
    for mutant in hosts.MUTANTS:
        assert MUTANTS[mutant.name] is mutant, f"{mutant.name} is not registered"
        backend = load(mutant.name)
        cells = [Capability(mutant.op, scheme) for scheme in mutant.schemes]
        assert list(backend.capabilities())[: len(cells)] == cells, f"{mutant.name}: cells"
        assert backend.info().knobs == dict(mutant.knobs), f"{mutant.name}: knobs"


def test_a_host_remembers_for_one_backend_only() -> None:
    one, other = Host(), Host()
    one.memory["asked"] = 1
    assert not other.memory, "two backends share a memory"
    assert PROFILES["ci"].examples >= 4, "X-10 divides the examples by four"
