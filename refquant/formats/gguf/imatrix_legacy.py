r"""The older form of a file of importance, ``.dat``: no magic, no version, no alignment.

Everything is little-endian, ``i32`` or ``f32``::

    weights i32
    for each weight:  n i32 | name, n bytes | calls i32 | values i32 | values x f32
    last call i32 | n i32 | data set's name, n bytes            <- both or neither

The values are means of squares, times the number of calls (chunks of unknown size):

.. math::

    w_j = \begin{cases} \mathrm{f32}(v_j \oslash \text{calls}) & \text{calls} > 0 \\
                        v_j & \text{else} \end{cases}                                     \tag{1}

The shape of stacked weights is not stored: all matrices are one row. A file without the last line
is older still. What llama.cpp takes and this refuses: bytes after the end, a weight that is listed
twice (it keeps the second or adds both, depending on the program), NaN and infinity.

References
----------
llama.cpp ``tools/imatrix/imatrix.cpp``, ``load_imatrix_legacy`` and ``save_imatrix_legacy``;
``tools/quantize/quantize.cpp`` for eq. (1).
"""

import numpy as np
from numpy.typing import NDArray

from refquant.formats.gguf.cursor import Cursor, shown
from refquant.formats.gguf.errors import GgufError

__all__ = ["parse_legacy"]

_LEAST = 4 + 1 + 4 + 4 + 4  # a one-byte name, one value

Sums = dict[str, tuple[NDArray[np.float32], int]]


def parse_legacy(data: bytes) -> tuple[Sums, tuple[str, ...], int]:
    """Return (name -> values and calls, data sets, last call) of a file's bytes.

    Calls are at least 1, so that eq. (1) is always a quotient; `GgufError` for any fault.

    >>> one, two = (n.to_bytes(4, "little") for n in (1, 2))
    >>> sums, _, _ = parse_legacy(one + one + b"w" + two + one + np.float32(6).tobytes())
    >>> values, calls = sums["w"]
    >>> values.tolist(), calls
    ([6.0], 2)
    """
    cursor = Cursor(memoryview(data))
    sums: Sums = {}
    for _ in range(_count(cursor, "weights", least=_LEAST, smallest=1)):
        at = cursor.position
        name = _string(cursor, "a weight's name", smallest=1)
        if name in sums:
            raise _wrong(f"weight {shown(name)} is listed twice", at)
        calls = _signed(cursor, f"the calls of {shown(name)}")
        count = _count(cursor, f"values of {shown(name)}", least=4, smallest=1)
        at = cursor.position
        values = np.frombuffer(cursor.take(4 * count, "values"), "<f4").astype(np.float32)
        if not np.isfinite(values).all() or (values < 0).any():
            raise _wrong(f"weight {shown(name)} holds NaN, infinity or negative sums", at)
        sums[name] = (values, max(calls, 1))
    if not cursor.left:
        return sums, (), 0
    last = _signed(cursor, "the last call")
    dataset = _string(cursor, "the data set's name", smallest=0)
    if cursor.left:
        raise GgufError(
            f"{cursor.left} bytes follow the data set's name",
            "give a file of importance, imatrix.dat or .gguf",
            code="trailing_bytes",
            offset=cursor.position,
        )
    return sums, (dataset,) if dataset else (), max(last, 0)


def _signed(cursor: Cursor, what: str) -> int:
    return int.from_bytes(cursor.take(4, what), "little", signed=True)


def _count(cursor: Cursor, what: str, *, least: int, smallest: int) -> int:
    at = cursor.position
    number = _signed(cursor, f"the number of {what}")
    if number < smallest or number * least > cursor.left:
        raise GgufError(
            f"the number of {what} is {number}, it is {smallest} or more of at least {least} "
            f"bytes, {cursor.left} are left",
            "give a whole file of importance, imatrix.dat or .gguf",
            code="bad_count",
            offset=at,
        )
    return number


def _string(cursor: Cursor, what: str, *, smallest: int) -> str:
    count = _count(cursor, f"bytes of {what}", least=1, smallest=smallest)
    at = cursor.position
    try:
        text = str(cursor.take(count, what), "utf-8")
    except UnicodeDecodeError as error:
        raise GgufError(
            f"{what} is not UTF-8: {error.reason}",
            "give a file of importance, imatrix.dat or .gguf",
            code="bad_utf8",
            offset=at + error.start,
        ) from None
    if "\0" in text:
        raise _wrong(f"{what} holds NUL: {shown(text)}", at)
    return text


def _wrong(what: str, offset: int) -> GgufError:
    return GgufError(
        what, "make the file again with llama-imatrix", code="bad_imatrix", offset=offset
    )
