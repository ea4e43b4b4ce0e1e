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

__all__ = [
    *("LICENCE", "MANIFEST", "SCHEMA", "Expected", "Vector", "VectorError"),
    *("manifest", "published", "published_vectors", "read"),
]

MANIFEST = "SHA256SUMS"
SCHEMA = "refquant_vectors_v1"
LICENCE = "CC0-1.0"
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
    clause: str


def published() -> tuple[Traversable, ...]:
    """Return the files of this edition, in the order of their names."""
    folder = files("refquant_conformance.vectors").joinpath("data")
    found = [file for file in folder.iterdir() if file.name.endswith(".json")]
    return tuple(sorted(found, key=lambda file: file.name))


def manifest() -> dict[str, str]:
    """Return the SHA-256 of each published file."""
    folder = files("refquant_conformance.vectors").joinpath("data")
    try:
        lines = folder.joinpath(MANIFEST).read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise VectorError(
            f"{MANIFEST} is not there: no file can be trusted; install again"
        ) from None
    if wrong := [line for line in lines if "  " not in line]:
        raise VectorError(f"{MANIFEST} holds a line without a digest and a name: {wrong[0]!r}")
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def published_vectors() -> Iterator[Vector]:
    """Yield every test of this edition.

    ``VectorError`` unless the files are those of the list, each as it was published.
    """
    digests, found = manifest(), {file.name: file for file in published()}
    if absent := sorted(set(digests) - set(found)):
        raise VectorError(f"{absent[0]} is listed in {MANIFEST} and not there; install again")
    if strange := sorted(set(found) - set(digests)):
        raise VectorError(f"{strange[0]} is not listed in {MANIFEST}: it was not published")
    for name, file in found.items():
        yield from read(name, file.read_bytes(), digest=digests[name])


def read(name: str, data: bytes, *, digest: str | None = None) -> Iterator[Vector]:
    """Yield the tests of a file; ``digest`` is what its SHA-256 must be, if it is published.

    ``VectorError`` for a file that was tampered with, or that says what this version does not know.
    """
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise VectorError(f"{name} is not the published file: its SHA-256 differs; fetch it again")
    try:
        document = json.loads(data, object_pairs_hook=_once)
    except VectorError as error:
        raise VectorError(f"{name}: {error}") from None
    except (ValueError, RecursionError):
        raise VectorError(f"{name} holds no vectors: it is not JSON") from None
    _keys(name, document, _TOP)
    if document["schema"] != SCHEMA:
        raise VectorError(f"{name}: schema is {document['schema']!r}, not {SCHEMA}")
    if document["op"] not in tuple(OPERATORS):
        raise VectorError(f"{name}: no operator {document['op']!r}")
    if document["licence"] != LICENCE:
        raise VectorError(f"{name}: licence is {document['licence']!r}, not {LICENCE}")
    if not isinstance(document["edition"], str):
        raise VectorError(f"{name}: edition is {document['edition']!r}, not a string")
    count = 0
    for group in _list(name, "testGroups", document["testGroups"]):
        _keys(f"{name}, group", group, _GROUP)
        for test in _list(name, "tests", group["tests"]):
            count += 1
            yield _vector(name, document["op"], group, test)
    if count != document["numberOfTests"]:
        raise VectorError(f"{name} says {document['numberOfTests']} tests and holds {count}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; JSON says nothing of a key that stands there twice, so it is refused."""
    made = dict(pairs)
    if len(made) != len(pairs):
        twice = next(key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1)
        raise VectorError(f"the field {twice!r} stands there twice")
    return made


def _list(name: str, key: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise VectorError(f"{name}: {key} must be a list")
    return value


def _vector(name: str, op: str, group: Mapping[str, Any], test: Any) -> Vector:
    where = f"{name}, test {test.get('tcId') if isinstance(test, Mapping) else '?'}"
    _keys(where, test, _TEST)
    if test["result"] not in ("valid", "undefined"):
        raise VectorError(f"{where}: result is {test['result']!r}, not valid or undefined")
    try:
        asked = {"op": op, "scheme": group["scheme"]}
        case = case_from_json({**asked, "params": test["params"], "inputs": test["inputs"]})
        expected = tuple(
            _expected(where, case, one) for one in _list(where, "expected", test["expected"])
        )
    except WireError as error:
        raise VectorError(f"{where}: {error}") from None
    if not expected:
        raise VectorError(f"{where}: nobody's answer is expected")
    if type(test["tcId"]) is not int:
        raise VectorError(f"{where}: tcId must be an integer")
    flags = _names(where, "flags", test["flags"])
    undefined = test["result"] == "undefined"
    return Vector(test["tcId"], case, flags, expected, undefined, str(group["clause"]))


def _names(where: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise VectorError(f"{where}: {key} must be a list of names")
    return tuple(value)


def _expected(where: str, case: Case, one: Any) -> Expected:
    refused = isinstance(one, Mapping) and "refused" in one
    _keys(where, one, {"contracts", "refused" if refused else "outputs"})
    contracts = _names(where, "contracts", one["contracts"])
    if refused:
        return Expected(contracts, None)
    _keys(where, one["outputs"], set(OPERATORS[case.op].outputs))
    outputs = {
        name: array_from_json(value, name, case.types[name])
        for name, value in one["outputs"].items()
    }
    return Expected(contracts, outputs)


def _keys(where: str, value: Any, wanted: set[str]) -> None:
    if not isinstance(value, Mapping):
        raise VectorError(f"{where} is no object")
    if unknown := sorted(set(value) - wanted):
        raise VectorError(f"{where} has a field {unknown[0]!r}, which this version does not know")
    if missing := sorted(wanted - set(value)):
        raise VectorError(f"{where} lacks {missing[0]}")
