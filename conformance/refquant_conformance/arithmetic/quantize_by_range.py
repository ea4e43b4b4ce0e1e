"""Quantizers by their range, by ``fake_quantize`` (1) and (2): codes, and which axes are left."""

import numpy as np

from refquant_conformance.arithmetic.base import Axes, Outputs
from refquant_conformance.arithmetic.fake_quantize import by_range
from refquant_conformance.arithmetic.quantize_parameters import parameters_of_each, spread
from refquant_conformance.oracle_fake_quantize import range_exact
from refquant_conformance.protocol import Case
from refquant_conformance.types import code_range, storage

__all__ = ["in_range", "in_range_exactly", "range_again"]


def in_range(case: Case) -> Outputs:
    """Return the codes by the range of the quantizer."""
    y = by_range(case.inputs["x"].astype(np.float32), *spread(case), case.types["y"])
    return {"y": y.astype(storage(case.types["y"]))}


def in_range_exactly(case: Case, index: int) -> int:
    """Return one element of ``in_range`` by the oracle."""
    scale, zero_point = (part.reshape(-1) for part in spread(case))
    return range_exact(
        float(case.inputs["x"].reshape(-1)[index]),
        parameters_of_each(case, index),
        code_range(case.types["y"]),
        rules=sorted({(float(s), int(z)) for s, z in zip(scale, zero_point, strict=True)}),
    )


def range_again(axes: Axes) -> bool:
    """Return whether it is ``by_range``, and not the one choice that stands for it."""
    stands = {"rounding": "half_even", "zero_point_at": "before_rounding", "nan": "qmin"}
    stands |= {"clamp": "before_rounding", "overflow": "saturate", "intermediate": "float32"}
    return axes["scale_op"] == "by_range" and any(stands.get(a, v) != v for a, v in axes.items())
