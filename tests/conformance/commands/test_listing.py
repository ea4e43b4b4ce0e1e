"""``list`` names what exists, and what is not installed here."""

import json

import pytest

from refquant_conformance import adapters
from refquant_conformance.cli import main
from refquant_conformance.mutants import MUTANTS
from refquant_conformance.operators import OPERATORS
from refquant_conformance.properties import PROPERTIES


def test_the_inventory_is_what_the_registers_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0, "list failed"
    found = json.loads(capsys.readouterr().out)
    assert found["properties"] == sorted(PROPERTIES), "properties"
    assert found["mutants"] == list(MUTANTS), "mutants"
    assert found["operators"] == list(OPERATORS), "operators"
    assert found["backends"] == list(adapters.names()), "backends"


def test_every_property_has_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0, "list failed"
    text = capsys.readouterr().out
    for identifier, one in PROPERTIES.items():
        assert f"  {identifier}  {one.name}: {one.sentence}\n" in text, identifier


def test_what_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    packages = dict(adapters.PACKAGES) | {"onnxruntime": "a_package_that_nobody_has"}
    monkeypatch.setattr(adapters, "PACKAGES", packages)
    assert main(["list"]) == 0, "list failed"
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("not installed")]
    assert "onnxruntime" in line, line
    assert "pip install 'refquant-conformance[" in line, line
