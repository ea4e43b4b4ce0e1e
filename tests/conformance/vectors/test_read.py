"""The published files are those of the list; what is no file of vectors is told."""

import hashlib
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from refquant_conformance.arithmetic import ARITHMETICS
from refquant_conformance.vectors import read as reading
from refquant_conformance.vectors.read import (
    MANIFEST,
    VectorError,
    manifest,
    published,
    published_vectors,
    read,
)
from tests.conformance.vectors.files import small

SCHEMA = Draft202012Validator(
    json.loads(files("refquant_conformance.vectors").joinpath("vectors.schema.json").read_bytes())
)
CELLS = sorted({(one.op, scheme) for one in ARITHMETICS for scheme in one.schemes})


def test_the_published_files_are_those_of_the_list_and_small() -> None:
    digests, total = manifest(), 0
    assert sorted(digests) == [file.name for file in published()], "other files"
    for file in published():
        data = file.read_bytes()
        assert len(data) <= 1_000_000, f"{file.name} has {len(data)} bytes"
        assert hashlib.sha256(data).hexdigest() == digests[file.name], f"{file.name} was changed"
        total += len(data)
    assert total <= 4_000_000, f"all files have {total} bytes"


def test_every_cell_with_an_arithmetic_has_vectors() -> None:
    found: set[tuple[str, str]] = set()
    for file in published():
        document = json.loads(file.read_bytes())
        assert file.name == f"{document['op']}.json", f"{file.name} is of {document['op']}"
        for group in document["testGroups"]:
            found.add((document["op"], group["scheme"]))
            tests = group["tests"]
            numbers = [t for t in tests if any("outputs" in e for e in t["expected"])]
            told = (
                f"{document['op']} {group['scheme']}: {len(numbers)} of {len(tests)} are computed"
            )
            assert 2 * len(numbers) > len(tests), told
    assert sorted(found) == CELLS, f"{sorted(set(CELLS) ^ found)}: run 'vectors generate'"


def test_a_file_is_as_the_schema_says() -> None:
    document = json.loads(small())
    SCHEMA.validate(document)
    assert not SCHEMA.is_valid({**document, "licence": "mine"}), "any licence"
    assert not SCHEMA.is_valid({**document, "schema": "refquant_vectors_v2"}), "any version"
    document["testGroups"][0]["tests"][0]["expected"][0]["refused"] = True
    assert not SCHEMA.is_valid(document), "an answer that is a refusal, too"


@pytest.mark.slow
def test_every_published_file_is_as_the_schema_says() -> None:
    for file in published():
        SCHEMA.validate(json.loads(file.read_bytes()))


@pytest.mark.parametrize("data", [b"[]", b"3", b"", b"\xff", b"{}"])
def test_what_is_no_file_of_vectors_is_told(data: bytes) -> None:
    with pytest.raises(VectorError, match=r"x\.json"):
        list(read("x.json", data))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An edition of one file, which is published in place of the real one."""
    made = tmp_path / "data"
    made.mkdir()
    (made / "one.json").write_bytes(small())
    digest = hashlib.sha256(small()).hexdigest()
    (made / MANIFEST).write_text(f"{digest}  one.json\n", "utf-8")
    monkeypatch.setattr(reading, "files", lambda _: tmp_path)
    return made


def _changed(folder: Path) -> None:
    (folder / "one.json").write_bytes(small().replace(b"CC0-1.0", b"CC0-1.1"))


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed": (_changed, "one.json is not the published file: its SHA-256 differs"),
    "absent": (lambda f: (f / "one.json").unlink(), "one.json is listed in SHA256SUMS and not"),
    "more": (lambda f: (f / "two.json").write_bytes(small()), "two.json is not listed"),
    "no list": (lambda f: (f / MANIFEST).unlink(), "SHA256SUMS is not there"),
    "no digest": (lambda f: (f / MANIFEST).write_text("one.json\n"), "without a digest and a name"),
    "sum": (lambda f: (f / MANIFEST).write_text(f"{'0' * 64}  one.json\n"), "SHA-256 differs"),
}


def test_an_edition_is_read_as_it_was_published(folder: Path) -> None:
    assert len(list(published_vectors())) == 4, f"{list(folder.iterdir())}"


@pytest.mark.parametrize("what", WRONG)
def test_an_edition_that_was_tampered_with_is_not_read(folder: Path, what: str) -> None:
    change, told = WRONG[what]
    change(folder)
    with pytest.raises(VectorError, match=told):
        list(published_vectors())
