r"""How a ``.gguf`` file is laid out: what reader and writer must agree on.

The file is one pass of fields without gaps, then the tensors' bytes at multiples of the alignment::

    "GGUF" | version u32 | tensors u64 | keys u64
    for each key:     name string | type u32 | value
    for each tensor:  name string | axes u32 | ne[0] u64 ... | type u32 | offset u64
    zeros to a multiple of the alignment a            <- data begins here, at d
    for each tensor:  its blocks, zeros to a multiple of a

    string = length u64, then that many bytes of UTF-8

.. math::

    d = a \lceil e / a \rceil, \qquad
    o_0 = 0, \qquad o_{i+1} = a \lceil (o_i + \text{bytes}_i) / a \rceil            \tag{1}

where e is the end of the last description, o an offset from d; a is ``general.alignment``, 32
where there is no such key.

References
----------
ggml ``docs/gguf.md``. It wants a to be a multiple of 8; llama.cpp, as this, any power of two.
"""

from typing import Final

import numpy as np

from refquant.formats.gguf.cursor import shown
from refquant.formats.gguf.errors import GgufError

__all__ = ["ALIGNMENT", "ALIGNMENT_KEY", "MAGIC", "MAX_KEY", "aligned", "alignment_of", "check_key"]

MAGIC: Final = b"GGUF"
ALIGNMENT: Final = np.uint32(32)
ALIGNMENT_KEY: Final = "general.alignment"
MAX_KEY: Final = 65_535
"""Bytes of the name of a key."""


def aligned(offset: int, alignment: int) -> int:
    """Return the first multiple of ``alignment`` that is not less than ``offset``: eq. (1).

    >>> aligned(0, 32), aligned(1, 32), aligned(32, 32)
    (0, 32, 32)
    """
    return -(-offset // alignment) * alignment


def alignment_of(value: object, *, offset: int | None = None) -> int:
    """Return the alignment that ``value`` says; refuse what is no power of two, as a uint32.

    >>> alignment_of(np.uint32(64))
    64
    """
    if not isinstance(value, np.uint32) or int(value).bit_count() != 1:
        raise GgufError(
            f"{ALIGNMENT_KEY} is a uint32, a power of two; got {shown(value)}",
            "write the file again with an alignment of 32",
            code="bad_alignment",
            offset=offset,
        )
    return int(value)


def check_key(key: str, *, offset: int | None = None) -> None:
    """Refuse the name of a key that is empty, too long, or ends early in C.

    >>> check_key("general.name")
    """
    if not key or "\0" in key or len(key.encode("utf-8", "surrogatepass")) > MAX_KEY:
        raise GgufError(
            f"a key's name is 1 to {MAX_KEY} bytes without NUL, got {shown(key)}",
            "rename it",
            code="bad_key",
            offset=offset,
        )
