"""The planted bugs of products, by whom they are found first."""

from refquant_conformance.mutants import products
from tests.conformance.mutants.first import BugsOf


class TestProducts(BugsOf):
    mutants = products.MUTANTS
    slow = True
