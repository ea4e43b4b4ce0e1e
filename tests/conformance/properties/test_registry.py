"""The register: ids are given once; every property has a sentence, a clause and operators."""

import re

import pytest

from refquant_conformance.mutants import MUTANTS
from refquant_conformance.operators import OPERATORS
from refquant_conformance.properties import PROPERTIES, for_op
from refquant_conformance.properties.registry import prop
from refquant_conformance.trial import Trial


def test_every_property_is_whole() -> None:
    for name, one in PROPERTIES.items():
        assert re.fullmatch(r"(QDQ|QPS|RQ|ACC|OP|PK|FF|BS|X|F)-[0-9]{2}", name), f"id {name}"
        assert one.sentence.endswith("."), f"{name}: {one.sentence!r} is no sentence"
        assert one.clause, f"{name} cites nothing"
        assert one.ops, f"{name} speaks of no operator"
        assert set(one.ops) <= set(OPERATORS), f"{name}: {set(one.ops) - set(OPERATORS)}"


def test_no_property_is_without_a_bug_that_it_must_find() -> None:
    named = {mutant.killed_by for mutant in MUTANTS.values()}
    assert named <= set(PROPERTIES), f"bugs of properties that do not exist: {named}"
    without = sorted(set(PROPERTIES) - named)
    assert not without, f"no planted bug must be found by {without}"


def test_an_id_is_given_once_and_with_a_sentence() -> None:
    def nothing(trial: Trial) -> None: ...

    with pytest.raises(ValueError, match="has no sentence"):
        prop("X-99", "x", ops=("quantize_linear",), clause="c", catches="-")(nothing)
    nothing.__doc__ = "A sentence."
    with pytest.raises(ValueError, match="QDQ-02 is registered twice"):
        prop("QDQ-02", "x", ops=("quantize_linear",), clause="c", catches="-")(nothing)


def test_properties_of_an_operator_come_in_the_order_of_their_ids() -> None:
    names = [one.id for one in for_op("quantize_linear")]
    assert names == sorted(names), f"{names}"
    assert not for_op("no such operator"), "properties of nothing"
