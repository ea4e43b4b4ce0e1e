"""A place in a file's bytes that moves forward and never beyond the end.

Every length in a file is a claim. Before anything is cut out, allocated or counted to, the claim is
compared with the bytes that are left::

    | what was read | position ... | claimed | ...        end |
                    '-- left = end - position --------------'
                      claimed <= left, or GgufError("truncated" or "bad_count")

so that time and memory are bounded by the size of the file, whatever it says.
"""

import struct
from typing import Literal

from refquant.formats.gguf.errors import GgufError

__all__ = ["AGAIN", "ByteOrder", "Cursor", "shown"]

ByteOrder = Literal["little", "big"]

AGAIN = "the file is damaged or not whole; copy it again"

_FORMATS = {
    ("little", 4): struct.Struct("<I"),
    ("little", 8): struct.Struct("<Q"),
    ("big", 4): struct.Struct(">I"),
    ("big", 8): struct.Struct(">Q"),
}


def shown(text: object) -> str:
    """Return ``repr(text)``, cut: a message does not repeat a megabyte of nonsense.

    >>> shown("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
    """
    if isinstance(text, str | bytes):
        text = text[:80]  # repr() of the whole would take its memory again
    whole = repr(text)
    return whole if len(whole) <= 60 else f"{whole[:57]}..."


class Cursor:
    """A position in ``data``, which begins at 0 and only grows.

    >>> cursor = Cursor(memoryview(bytes([2, 0, 0, 0, 7])))
    >>> cursor.unsigned(4, "the count"), cursor.position, cursor.left
    (2, 4, 1)
    """

    def __init__(self, data: memoryview, byte_order: ByteOrder = "little") -> None:
        self.data, self.byte_order = data, byte_order
        self.position, self.end = 0, len(data)

    @property
    def left(self) -> int:
        """The number of bytes that have not been read."""
        return self.end - self.position

    def take(self, count: int, what: str) -> memoryview:
        """Return the next ``count`` bytes, which are ``what``, without copying them."""
        if count > self.left:
            raise GgufError(
                f"{what} takes {count} bytes, {self.left} are left",
                AGAIN,
                code="truncated",
                offset=self.position,
            )
        begin = self.position
        self.position = begin + count
        return self.data[begin : self.position]

    def unsigned(self, size: int, what: str) -> int:
        """Return the next unsigned integer, of 4 or 8 bytes."""
        number: int = _FORMATS[self.byte_order, size].unpack(self.take(size, what))[0]
        return number

    def count(self, what: str, *, least: int) -> int:
        """Return the next 8-byte count, of things that take at least ``least`` bytes each."""
        at = self.position
        number = self.unsigned(8, f"the number of {what}")
        if number * least > self.left:
            raise GgufError(
                f"the number of {what} is {number}, each takes at least {least} bytes, "
                f"{self.left} are left",
                AGAIN,
                code="bad_count",
                offset=at,
            )
        return number

    def string(self, what: str) -> str:
        """Return the next string: 8 bytes of length, then that many bytes of UTF-8."""
        at = self.position
        length = self.unsigned(8, f"the length of {what}")
        if length > self.left:
            raise GgufError(
                f"the length of {what} is {length}, {self.left} bytes are left",
                AGAIN,
                code="truncated",
                offset=at,
            )
        raw = self.take(length, what)
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError as error:
            raise GgufError(
                f"{what} is not UTF-8: {error.reason}",
                "write the file again with UTF-8 text",
                code="bad_utf8",
                offset=at + 8 + error.start,
            ) from None
