"""An error says what, where, and what to do, to people and to programs."""

import re
from pathlib import Path

from refquant.formats import gguf
from refquant.formats.gguf.errors import CODES, GgufError

SOURCES = Path(gguf.__file__).parent


def test_the_message_holds_place_fault_and_remedy() -> None:
    error = GgufError("x is 1, got 2", "write it again", code="bad_count", offset=7)
    assert str(error) == "byte 7: x is 1, got 2; write it again", str(error)
    assert (error.code, error.offset) == ("bad_count", 7), f"{error.code}, {error.offset}"
    assert isinstance(error, ValueError), "what catches ValueError catches this"


def test_within_a_file_nothing_is_lost() -> None:
    error = GgufError("x", "y", code="bad_key", offset=3).within("a.gguf")
    assert str(error) == "a.gguf: byte 3: x; y", str(error)
    assert (error.code, error.offset, error.what) == ("bad_key", 3, "x"), f"{vars(error)}"


def test_the_codes_are_those_that_the_sources_raise() -> None:
    text = "".join(path.read_text() for path in SOURCES.glob("*.py"))
    raised = set(re.findall(r'code="(\w+)"', text))
    assert raised == set(CODES), f"raised and not listed, or listed and never raised: " \
        f"{raised ^ set(CODES)}"  # fmt: skip
