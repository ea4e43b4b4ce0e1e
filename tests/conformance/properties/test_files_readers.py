"""F-08 and F-16: files are written as they were read, and taken as others take them."""

import pytest

from refquant_conformance.properties.files_readers import READERS, variants
from tests.conformance.loading import loaded
from tests.conformance.planted import assert_clean, assert_killed


def test_files_are_written_as_they_were_read() -> None:
    assert_clean("F-08", "onnx")
    assert_killed("F-08")


@pytest.mark.parametrize("scheme", list(READERS))
def test_what_a_package_takes_is_taken(scheme: str) -> None:
    row = loaded("reference:onnx", "F-16", scheme)
    assert row is not None, "says nothing"
    assert not row.red, f"{scheme}: {row.detail}"


def test_a_reader_that_refuses_a_valid_file_is_found() -> None:
    row = loaded("mutant:wants_order", "F-16", "safetensors")
    assert row is not None, "says nothing"
    assert row.verdict == "FAILS", row.detail


@pytest.mark.parametrize("scheme", ["gguf", "safetensors"])
def test_variants_are_valid_for_their_package(scheme: str) -> None:
    for data in variants(scheme).values():
        READERS[scheme](data)  # raises if not
