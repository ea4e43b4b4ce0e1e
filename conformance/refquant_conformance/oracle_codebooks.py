r"""The exact oracle of 4-bit codebooks: NF4, and the FP4 of bitsandbytes.

With a the largest magnitude of a block, and :math:`v = \mathrm{f32}(x \cdot \mathrm{f32}(1/a))`, a
code is found among ascending levels in one of two ways:

.. math::

    \mathtt{midpoints}:\ \#\{i : \mathrm{f32}((c_i + c_{i+1})/2) < v\} \qquad
    \mathtt{literals}:\ \#\{t \in T : t < v\}                                       \tag{1}

with T the thresholds that bitsandbytes and onnxruntime write down with nine digits, each rounded to
float32 once; those of FP4 are of magnitudes, and the sign is a bit.

References
----------
Dettmers et al., "QLoRA", 2023, appendix E (the levels of NF4); bitsandbytes ``csrc/kernels.cu``
(``dQuantizeNF4``, ``dQuantizeFP4``).
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

from refquant_conformance.rational import add, divide, float32, multiply

__all__ = ["code_exact", "largest_exact"]

_NF4 = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
    *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
    *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
    *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
)
_NF4_CUTS = (
    *("-0.84809643", "-0.610632896", "-0.45999527", "-0.33967942", "-0.234607399"),
    *("-0.137911737", "-0.0455250181", "0.0397901498", "0.120255254", "0.203521252"),
    *("0.292013764", "0.389312536", "0.501663387", "0.64278692", "0.861478388"),
)
_FP4: Mapping[int, Fraction] = {
    **{0: Fraction(0), 1: Fraction(1, 192), 6: Fraction(1, 6), 7: Fraction(1, 4)},
    **{4: Fraction(1, 3), 5: Fraction(1, 2), 2: Fraction(2, 3), 3: Fraction(1)},
}
_FP4_CUTS = (
    *("0.00260417", "0.0859375", "0.20833333", "0.29166667", "0.4166667", "0.583333"),
    "0.8333333",
)


def largest_exact(block: Sequence[float]) -> float:
    """Return the largest magnitude.

    >>> largest_exact([1.0, -3.0])
    3.0
    """
    return max(abs(x) for x in block)


def _above(v: float, cuts: Sequence[float]) -> int:
    return sum(cut < v for cut in cuts)


def _middles(levels: Sequence[float]) -> list[float]:
    return [divide(add(low, high), 2.0) for low, high in pairwise(levels)]


def code_exact(book: str, block: Sequence[float], index: int, *, literals: bool) -> int:
    """Return the code of one element of a block that is not all zeros, all finite: eq. (1).

    >>> code_exact("nf4", [0.5, -2.0, 0.0, 1.0], 3, literals=False)
    12
    """
    v = multiply(block[index], divide(1.0, largest_exact(block)))
    if book == "nf4":
        cuts = [float32(Fraction(t)) for t in _NF4_CUTS] if literals else _middles(_NF4)
        return _above(v, cuts)
    codes = list(_FP4)
    if literals:
        at = _above(abs(v), [float32(Fraction(t)) for t in _FP4_CUTS])
        return codes[at] + 8 * (v < 0)
    levels = [float32(value) for value in _FP4.values()]
    # 0 stands twice among the levels, as 0 and then as 8: what is above it has the latter.
    both = [-level for level in levels[:0:-1]] + [0.0, *levels]
    names = [code + 8 for code in codes[:0:-1]] + [0, 8, *codes[1:]]
    return names[_above(v, _middles(both))]
