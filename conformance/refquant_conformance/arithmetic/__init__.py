"""The arithmetics by operator and scheme; one file a family."""

from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.arithmetic.quantize import QUANTIZE

__all__ = ["ARITHMETICS", "Arithmetic", "Axes", "Outputs", "arithmetic_of"]

ARITHMETICS: tuple[Arithmetic, ...] = (QUANTIZE,)
"""Every family that backends are held against."""


def arithmetic_of(op: str, scheme: str) -> Arithmetic | None:
    """Return the family of a cell; None if the judge has no yardstick for it.

    >>> arithmetic_of("quantize_linear", "f32_u8").op
    'quantize_linear'
    """
    for arithmetic in ARITHMETICS:
        if arithmetic.op == op and scheme in arithmetic.schemes:
            return arithmetic
    return None
