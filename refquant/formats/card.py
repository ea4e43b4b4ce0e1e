r"""A format's card: its name, layout, equation and source, and how it encodes a value.

Every format's module ends in a ``CARD``; ``refquant explain`` prints it. The steps are those of the
module's own ``encode``, with the numbers filled in, so that a learner can follow one value from a
real to bits and back:

.. math::

    e_i = \hat x_i - x_i                                                          \tag{1}

is the error of value i after decoding, printed at the end of every card's steps.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Card", "Step", "number", "padded_block", "value_steps"]

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an explanation: ``what`` is computed, ``how`` with its numbers, and the result.

    >>> Step("amax", "max |x|", "3.3").result
    '3.3'
    """

    what: str
    how: str
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What there is to say about one format.

    ``name`` is what a user types (lower case, ``q4_k``). ``layout`` is a diagram in plain text,
    first bit or byte first. ``equation`` says in plain text what a code means. ``source`` names the
    normative text or the file that defines the format. ``block_size`` is the number of values that
    share parameters, 1 where none do, 0 where the user chooses. ``explain`` takes 1 to
    ``block_size`` float32 values (any number where that is 0 or 1) and returns the steps of
    encoding them; the format itself pads a short block, with zeros, and says so.
    """

    name: str
    title: str
    bits_per_value: float
    block_size: int
    layout: str
    equation: str
    source: str
    explain: Callable[[F32], Sequence[Step]]


def number(value: object) -> str:
    """Return a number with the nine digits that tell any two float32 apart, without padding.

    >>> number(np.float32(0.1)), number(3), number(np.float64(448.0))
    ('0.100000001', '3', '448')
    """
    return f"{float(value):.9g}"  # type: ignore[arg-type]  # any number, also a NumPy scalar


def padded_block(x: F32, *, block_size: int) -> F32:
    """Return ``x`` of shape (n,), n from 1 to ``block_size``, filled up with zeros to one block.

    >>> padded_block(np.array([1, 2], np.float32), block_size=4).tolist()
    [1.0, 2.0, 0.0, 0.0]
    """
    x = np.asarray(x, np.float32)
    if x.ndim != 1 or not 1 <= x.size <= block_size:
        raise ValueError(
            f"x: must be 1 to {block_size} values, one block of the format; got shape {x.shape}"
        )
    return np.concatenate([x, np.zeros(block_size - x.size, np.float32)])


def value_steps(x: F32, codes: Sequence[str], decoded: F32) -> Iterator[Step]:
    """Yield, for every value, its code and the real it decodes to, with the error of eq. (1).

    ``codes`` are texts, one a value, that show the bits as the format stores them; ``decoded`` has
    at least as many values as ``x``.

    >>> next(value_steps(np.array([3.3], np.float32), ["0b0111"], np.array([3.0], np.float32)))
    Step(what='x[0]', how='3.29999995 -> 0b0111', result='3 (error -0.299999952)')
    """
    for index, (value, code) in enumerate(zip(x, codes, strict=False)):
        back = decoded[index]
        with np.errstate(invalid="ignore", over="ignore"):  # inf - inf: the error is a NaN, shown
            error = np.float64(back) - np.float64(value)
        yield Step(
            f"x[{index}]",
            f"{number(value)} -> {code}",
            f"{number(back)} (error {number(error)})",
        )
