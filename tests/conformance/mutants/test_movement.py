"""The planted bugs of movement, by whom they are found first."""

from refquant_conformance.mutants import movement
from tests.conformance.mutants.first import BugsOf


class TestMovement(BugsOf):
    mutants = movement.MUTANTS
