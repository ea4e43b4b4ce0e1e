"""Nothing is read beyond the end, and nothing is counted that the bytes cannot hold."""

import pytest

from refquant.formats.gguf.cursor import ByteOrder, Cursor, shown
from refquant.formats.gguf.errors import GgufError


@pytest.mark.parametrize(("order", "numbers"), [("little", [1, 2]), ("big", [2**24, 2**57])])
def test_integers_have_the_byte_order_of_the_file(order: ByteOrder, numbers: list[int]) -> None:
    cursor = Cursor(memoryview(bytes([1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])), order)
    assert [cursor.unsigned(4, "a"), cursor.unsigned(8, "b")] == numbers, f"{order}"
    assert (cursor.position, cursor.left) == (12, 0), f"{cursor.position}, {cursor.left}"


def test_the_last_byte_can_be_read_and_no_more() -> None:
    cursor = Cursor(memoryview(b"abc"))
    assert bytes(cursor.take(3, "all")) == b"abc", "three of three bytes"
    assert bytes(cursor.take(0, "nothing")) == b"", "zero bytes are always there"
    with pytest.raises(GgufError, match="byte 3: more takes 1 bytes, 0 are left") as caught:
        cursor.take(1, "more")
    assert caught.value.code == "truncated", caught.value.code


def test_a_count_is_compared_with_the_bytes_left() -> None:
    head = (2).to_bytes(8, "little")
    assert Cursor(memoryview(head + bytes(10))).count("things", least=5) == 2, "ten bytes hold two"
    with pytest.raises(GgufError, match="each takes at least 5 bytes, 9 are left") as caught:
        Cursor(memoryview(head + bytes(9))).count("things", least=5)
    assert (caught.value.code, caught.value.offset) == ("bad_count", 0), f"{caught.value}"


def test_a_fault_within_a_string_has_its_own_byte() -> None:
    data = bytes(3) + (3).to_bytes(8, "little") + b"a\xffb"
    cursor = Cursor(memoryview(data))
    cursor.take(3, "what is before")
    with pytest.raises(GgufError, match="not UTF-8") as caught:
        cursor.string("a name")
    assert caught.value.offset == 12, f"the second byte of the text is byte 12: {caught.value}"


def test_a_string_that_is_one_byte_too_long_is_blamed_on_its_length() -> None:
    cursor = Cursor(memoryview((4).to_bytes(8, "little") + b"abc"))
    with pytest.raises(GgufError, match="the length of a name is 4, 3 bytes are left") as caught:
        cursor.string("a name")
    assert (caught.value.code, caught.value.offset) == ("truncated", 0), f"{caught.value}"


def test_what_is_shown_is_short_and_takes_no_memory() -> None:
    assert len(shown("a" * 10**6)) == 60, "cut"
    assert shown("a\x1b") == r"'a\x1b'", "escaped"
