"""Which property of a group finds a planted bug first."""

from refquant_conformance.mutants import MUTANTS
from refquant_conformance.properties import PROPERTIES
from tests.conformance.planted import cells_of_mutant


def first_killer(name: str, group: str, seed: int = 0) -> str:
    """Return the id of the first property of ``group`` that fails on a mutant; "" for none."""
    for identifier, one in sorted(PROPERTIES.items()):
        if MUTANTS[name].op in one.ops and identifier.startswith(f"{group}-"):
            rows = cells_of_mutant(name, identifier, seed)
            if any(row.verdict == "FAILS" for row in rows):
                return identifier
    return ""
