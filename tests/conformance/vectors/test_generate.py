"""What is made is the same each time, says what each test is for, and knows where it may not."""

import json

import pytest

from refquant_conformance.vectors.generate import generate
from refquant_conformance.wire import dumps
from tests.conformance.vectors.files import OP, small


def test_the_same_file_is_made_twice() -> None:
    assert dumps(generate(OP)) == dumps(generate(OP)), "two files"


def test_answers_are_different_and_each_contract_gives_one() -> None:
    for test in json.loads(small())["testGroups"][0]["tests"]:
        names = [name for one in test["expected"] for name in one["contracts"]]
        assert len(set(names)) == len(names), f"two answers of one contract: {names}"
        given = [json.dumps(one.get("outputs")) for one in test["expected"]]
        assert len(set(given)) == len(given), "the same answer stands there twice"
        assert len(given) == 1 or test["flags"], "answers differ, and no axis says why"


def test_without_an_arithmetic_there_are_none() -> None:
    with pytest.raises(ValueError, match="there is no arithmetic for nop"):
        generate("nop")
