"""Read vectors: strictly, because a field that nobody knows is a test that nobody runs."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from refquant_conformance.arithmetic.base import Outputs
from refquant_conformance.operators import OPERATORS
from refquant_conformance.protocol import Case
from refquant_conformance.wire import WireError, array_from_json, case_from_json

__all__ = ["MANIFEST", "Expected", "Vector", "VectorError", "manifest", "published", "read"]

MANIFEST = "SHA256SUMS"
_TOP = {"schema", "edition", "op", "licence", "numberOfTests", "testGroups"}
_GROUP = {"scheme", "clause", "tests"}
_TEST = {"tcId", "flags", "params", "inputs", "expected", "result"}


class VectorError(ValueError):
    """A file that holds no vectors, or was changed. The message names file, test and key."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One answer, and who gives it; ``outputs`` is None where the inputs are refused."""

    contracts: tuple[str, ...]
    outputs: Outputs | None


@dataclass(frozen=True, slots=True)
class Vector:
    """One test."""

    number: int
    case: Case
    flags: tuple[str, ...]
    expected: tuple[Expected, ...]
    undefined: bool


def published() -> tuple[Traversable, ...]:
    """Return the files of this edition, in the order of their names."""
    folder = files("refquant_conformance.vectors").joinpath("data")
    found = [file for file in folder.iterdir() if file.name.endswith(".json")]
    return tuple(sorted(found, key=lambda file: file.name))


def manifest() -> dict[str, str]:
    """Return the SHA-256 of each published file."""
    folder = files("refquant_conformance.vectors").joinpath("data")
    lines = folder.joinpath(MANIFEST).read_text("utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def read(name: str, data: bytes, *, digest: str | None = None) -> Iterator[Vector]:
    """Yield the tests of a file; ``digest`` is what its SHA-256 must be, if it is published.

    ``VectorError`` for a file that was tampered with, or that says what this version does not know.
    """
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise VectorError(f"{name} is not the published file: its SHA-256 differs; fetch it again")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise VectorError(f"{name} holds no vectors: it is not JSON") from None
    _keys(name, document, _TOP)
    if document["schema"] != "refquant_vectors_v1":
        raise VectorError(f"{name}: schema is {document['schema']!r}, not refquant_vectors_v1")
    if document["op"] not in OPERATORS:
        raise VectorError(f"{name}: no operator {document['op']!r}")
    count = 0
    for group in document["testGroups"]:
        _keys(f"{name}, group", group, _GROUP)
        for test in group["tests"]:
            count += 1
            yield _vector(name, document["op"], group["scheme"], test)
    if count != document["numberOfTests"]:
        raise VectorError(f"{name} says {document['numberOfTests']} tests and holds {count}")


def _vector(name: str, op: str, scheme: str, test: Any) -> Vector:
    where = f"{name}, test {test.get('tcId') if isinstance(test, Mapping) else '?'}"
    _keys(where, test, _TEST)
    if test["result"] not in ("valid", "undefined"):
        raise VectorError(f"{where}: result is {test['result']!r}, not valid or undefined")
    try:
        asked = {"op": op, "scheme": scheme, "params": test["params"], "inputs": test["inputs"]}
        case = case_from_json(asked)
        expected = tuple(_expected(where, case, one) for one in test["expected"])
    except (WireError, KeyError, TypeError, AttributeError) as error:
        raise VectorError(f"{where}: {error}") from None
    number, flags = test["tcId"], tuple(test["flags"])
    return Vector(number, case, flags, expected, test["result"] == "undefined")


def _expected(where: str, case: Case, one: Any) -> Expected:
    known = {"contracts", "refused"} if "refused" in one else {"contracts", "outputs"}
    _keys(where, one, known)
    outputs = None
    if "outputs" in one:
        outputs = {
            name: array_from_json(value, name, case.types[name])
            for name, value in one["outputs"].items()
        }
    return Expected(tuple(one["contracts"]), outputs)


def _keys(where: str, value: Any, wanted: set[str]) -> None:
    if not isinstance(value, Mapping):
        raise VectorError(f"{where} is no object")
    if unknown := sorted(set(value) - wanted):
        raise VectorError(f"{where} has a field {unknown[0]!r}, which this version does not know")
    if missing := sorted(wanted - set(value)):
        raise VectorError(f"{where} lacks {missing[0]}")
