"""The published files are those of the list; what is no file of vectors is told."""

import hashlib

import pytest

from refquant_conformance.vectors.read import VectorError, manifest, published, read


def test_the_published_files_are_those_of_the_list_and_small() -> None:
    digests = manifest()
    assert sorted(digests) == [file.name for file in published()], "other files"
    for file in published():
        data = file.read_bytes()
        assert len(data) <= 1_000_000, f"{file.name} has {len(data)} bytes"
        assert hashlib.sha256(data).hexdigest() == digests[file.name], f"{file.name} was changed"


@pytest.mark.parametrize("data", [b"[]", b"3", b"", b"\xff", b"{}"])
def test_what_is_no_file_of_vectors_is_told(data: bytes) -> None:
    with pytest.raises(VectorError, match=r"x\.json"):
        list(read("x.json", data))
