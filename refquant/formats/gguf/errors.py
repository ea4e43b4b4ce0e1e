"""What can be wrong with a file, as a type: a code for programs, a sentence for people.

A file comes from a stranger. For any bytes whatever the readers of this package return what the
bytes say, or raise this error; there is no third outcome. The codes are a closed set, so that a
program can tell a damaged copy (``truncated``) from a file of another kind (``bad_magic``).

References
----------
The rules are those of ggml ``docs/gguf.md``; where that text is silent, of ggml ``src/gguf.cpp``.
"""

from typing import Final

__all__ = ["CODES", "GgufError"]

CODES: Final = (
    # the file as a whole
    *("unreadable", "truncated", "trailing_bytes", "bad_magic", "bad_version"),
    # counts, strings, keys and values
    *("bad_count", "bad_utf8", "bad_key", "duplicate_key", "bad_value_type", "nested_array"),
    *("bad_bool", "bad_alignment"),
    # tensors
    *("bad_name", "duplicate_tensor", "bad_rank", "bad_dimension", "too_large", "bad_type"),
    *("removed_type", "ragged_row", "bad_offset", "bad_data", "big_endian_blocks"),
    # files of importance
    *("bad_imatrix",),
)
"""Every ``code`` that a `GgufError` may have."""


class GgufError(ValueError):
    """The bytes are no valid file, or what should be written is none.

    ``code`` is one of `CODES`; ``offset`` is the byte of the file where the faulty field begins,
    None where there is no such byte. The message names both, what was found, and a remedy.

    >>> str(GgufError("the version is 2 or 3, got 9", "convert it again", code="bad_version"))
    'the version is 2 or 3, got 9; convert it again'
    """

    def __init__(self, what: str, remedy: str, *, code: str, offset: int | None = None) -> None:
        at = "" if offset is None else f"byte {offset}: "
        super().__init__(f"{at}{what}; {remedy}")
        self.what, self.remedy = what, remedy
        self.code, self.offset = code, offset

    def within(self, name: str) -> "GgufError":
        """Return the same error of the file ``name``."""
        error = GgufError(self.what, self.remedy, code=self.code, offset=self.offset)
        error.args = (f"{name}: {self}",)
        return error
