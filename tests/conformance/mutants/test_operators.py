"""The planted bugs of operators, by whom they are found first."""

from refquant_conformance.mutants import operators
from tests.conformance.mutants.first import BugsOf


class TestOperators(BugsOf):
    mutants = operators.MUTANTS
    slow = True
