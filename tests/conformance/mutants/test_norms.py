"""The planted bugs of layer normalization, by whom they are found first."""

from refquant_conformance.mutants import norms
from tests.conformance.mutants.first import BugsOf


class TestNorms(BugsOf):
    mutants = norms.MUTANTS
