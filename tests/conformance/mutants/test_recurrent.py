"""The planted bugs of layers with a state, by whom they are found first."""

from refquant_conformance.mutants import recurrent
from tests.conformance.mutants.first import BugsOf


class TestRecurrent(BugsOf):
    mutants = recurrent.MUTANTS
