"""The planted bugs of methods, by whom they are found first."""

from refquant_conformance.mutants import methods
from tests.conformance.mutants.first import BugsOf


class TestMethods(BugsOf):
    mutants = methods.MUTANTS
    slow = True
