"""The planted bugs of layers, codebooks and wide sums, by whom they are found first."""

from refquant_conformance.mutants import layers
from tests.conformance.mutants.first import BugsOf


class TestLayers(BugsOf):
    mutants = layers.MUTANTS
    slow = True
