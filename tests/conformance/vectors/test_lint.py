"""Vectors: what is made is right, and whatever is changed in a file is found."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from refquant_conformance.arithmetic import Arithmetic, arithmetic_of
from refquant_conformance.vectors import lint as linting
from refquant_conformance.vectors.lint import lint_file
from refquant_conformance.vectors.read import VectorError, read
from tests.conformance.vectors.files import small


@pytest.fixture
def data() -> bytes:
    return small()


def changed(data: bytes, change: Callable[[Any], None]) -> bytes:
    made = json.loads(data)
    change(made)
    return json.dumps(made).encode()


def first(made: Any) -> Any:
    return made["testGroups"][0]["tests"][0]


def test_what_is_made_is_right_and_small(data: bytes) -> None:
    assert list(lint_file("x.json", data, hashlib.sha256(data).hexdigest())) == [], "wrong"


def _answer(made: Any) -> None:
    y = first(made)["expected"][0]["outputs"]["y"]
    y["hex"] = f"{int(y['hex'][:2], 16) ^ 1:02x}{y['hex'][2:]}"


TAMPERED: dict[str, tuple[Callable[[Any], None], str]] = {
    "answer": (_answer, "is not what the reference computes"),
    "flag": (lambda m: first(m)["flags"].append("rounding"), "the flags are"),
    "contract": (lambda m: first(m)["expected"][0]["contracts"].append("nobody"), "answers are"),
    "a contract less": (lambda m: first(m)["expected"][0]["contracts"].pop(), "the answers are"),
    "an answer less": (lambda m: first(m)["expected"].pop(), "nobody's answer is expected"),
    "no answer": (lambda m: first(m).update(expected=[]), "nobody's answer is expected"),
    "an answer twice": (lambda m: first(m)["expected"].append(first(m)["expected"][0]), "answers"),
    "result": (lambda m: first(m).update(result="undefined"), "undefined exactly where"),
    "other result": (lambda m: first(m).update(result="maybe"), "not valid or undefined"),
    "clause": (lambda m: m["testGroups"][0].update(clause="none"), "the clause is"),
    "field": (lambda m: first(m).update(note="x"), "a field 'note'"),
    "top": (lambda m: m.update(note="x"), "a field 'note'"),
    "lacks": (lambda m: first(m).pop("flags"), "lacks flags"),
    "number": (lambda m: first(m).update(tcId=2), "stands there twice"),
    "no number": (lambda m: first(m).update(tcId="1"), "tcId must be an integer"),
    "count": (lambda m: m.update(numberOfTests=1), "says 1 tests"),
    "a test less": (lambda m: m["testGroups"][0]["tests"].pop(), "tests and holds"),
    "schema": (lambda m: m.update(schema="v9"), "schema is 'v9'"),
    "licence": (lambda m: m.update(licence="mine"), "licence is 'mine'"),
    "edition": (lambda m: m.update(edition=3), "edition is 3"),
    "op": (lambda m: m.update(op=["x"]), "no operator"),
    "scheme": (lambda m: m["testGroups"][0].update(scheme="u9"), "no scheme 'u9'"),
    "groups": (lambda m: m.update(testGroups=3), "testGroups must be a list"),
    "tests": (lambda m: m["testGroups"][0].update(tests=None), "tests must be a list"),
    "test": (lambda m: m["testGroups"][0]["tests"].append(3), "is no object"),
    "expected": (lambda m: first(m).update(expected=[3]), "is no object"),
    "output": (lambda m: first(m)["expected"][0]["outputs"].update(w={}), "a field 'w'"),
    "hex": (lambda m: first(m)["inputs"]["x"].update(hex="0"), "hexadecimal"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_whatever_is_changed_is_found(data: bytes, what: str) -> None:
    change, word = TAMPERED[what]
    problems = list(lint_file("x.json", changed(data, change), None))
    assert any(word in problem for problem in problems), f"{what}: {problems}"


def test_a_digest_a_key_twice_and_no_json_are_found(data: bytes) -> None:
    assert "SHA-256 differs" in next(lint_file("x.json", data + b" ", "0" * 64)), "digest"
    twice = data.replace(b'{"schema"', b'{"op":"cast","schema"', 1)
    assert "'op' stands there twice" in next(lint_file("x.json", twice, None)), "twice"
    assert "not JSON" in next(lint_file("x.json", b"[" * 10**5, None)), "no JSON"
    with pytest.raises(VectorError, match="is no object"):
        list(read("x.json", b"[]"))


def test_an_answer_that_the_oracle_counts_otherwise_is_told(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(op: str, scheme: str) -> Arithmetic:
        arithmetic = arithmetic_of(op, scheme)
        assert arithmetic is not None, f"no arithmetic for {op}"
        return replace(arithmetic, exact=lambda *_: 10**6)

    monkeypatch.setattr(linting, "arithmetic_of", other)
    problems = list(lint_file("x.json", data, None))
    assert any("the oracle counts 1000000" in one for one in problems), f"{problems[:2]}"
