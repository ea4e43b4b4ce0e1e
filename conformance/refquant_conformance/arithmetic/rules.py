"""Scale and zero point of an operand, and codes of reals by them."""

import numpy as np

from refquant.formats.affine import QParams
from refquant_conformance.arithmetic.elementwise_probes import Rule
from refquant_conformance.protocol import Array, Case

__all__ = ["qparams", "real_quantized", "rule"]


def rule(case: Case, name: str) -> Rule:
    """Return scale (a float32) and zero point of an operand."""
    return float(case.inputs[f"{name}_scale"]), int(case.inputs[f"{name}_zero_point"])


def qparams(case: Case, name: str) -> QParams:
    """Return the parameters of an operand as the reference has them."""
    scale, zero_point = rule(case, name)
    return QParams(np.float32(scale), np.int32(zero_point), None, case.types[name])


def real_quantized(v: Array, y: Rule, limits: tuple[int, int], *, early: bool = False) -> Array:
    """Return the codes of float32 reals; ``early``: the zero point is added before rounding.

    >>> real_quantized(np.float32([1.5]), (1.0, 1), (0, 255), early=True).tolist()
    [2]
    """
    with np.errstate(all="ignore"):
        quotient = v / np.float32(y[0])
        if early:
            quotient = quotient + np.float32(y[1])
        whole = np.nan_to_num(np.rint(quotient), nan=limits[0] - y[1])
        shifted = np.clip(whole, -(2.0**40), 2.0**40).astype(np.int64) + (0 if early else y[1])
    return np.asarray(np.clip(shifted, *limits))
