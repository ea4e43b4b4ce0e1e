"""The tests that every file of properties has: the reference meets them, and bugs break them.

The mirrored test of ``refquant_conformance/properties/acc.py`` inherits them, and says which file
and which presets::

    class TestAcc(PropertiesOf):
        module = "acc"
        bases = ("onnx", "torch")  # test_the_reference_is_clean[onnx-ACC-01], [torch-ACC-01], ...
"""

import pytest

from refquant_conformance.mutants import MUTANTS
from tests.conformance.planted import assert_clean, assert_killed, of_module

__all__ = ["PropertiesOf", "WhateverTheSeed"]


class PropertiesOf:
    """Tests of the properties that ``module`` registers, on the reference with each preset."""

    module: str
    bases: tuple[str, ...] = ("onnx",)
    seeded: tuple[str, ...] = ()  # of WhateverTheSeed
    unasked: tuple[str, ...] = ()  # ids that the reference cannot be asked

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run a test once for each value of what it takes: pytest calls this for every test."""
        ids = of_module(self.module)
        values = {
            "identifier": ids,
            "asked": [identifier for identifier in ids if identifier not in self.unasked],
            "base": self.bases,
            "seeded_base": self.seeded,
        }
        for name in metafunc.fixturenames:
            if name in values:
                metafunc.parametrize(name, values[name])

    def test_every_property_has_a_bug_that_names_it(self) -> None:
        ids = set(of_module(self.module))
        assert ids, f"{self.module} registers no property"
        named = {mutant.killed_by for mutant in MUTANTS.values()}
        assert ids <= named, f"{ids - named}"

    def test_the_reference_is_clean(self, base: str, asked: str) -> None:
        assert_clean(asked, base)

    def test_its_planted_bug_is_found(self, identifier: str) -> None:
        assert_killed(identifier)


class WhateverTheSeed(PropertiesOf):
    """The same, and with other seeds on the presets ``seeded``."""

    @pytest.mark.slow
    def test_the_reference_is_clean_whatever_the_seed(self, seeded_base: str, asked: str) -> None:
        for seed in range(5):
            assert_clean(asked, seeded_base, seed)
