"""The planted bugs of weight-only products, by whom they are found first."""

from refquant_conformance.mutants import weights
from tests.conformance.mutants.first import BugsOf


class TestWeights(BugsOf):
    mutants = weights.MUTANTS
