r"""Average pools by the range of the output, of raw codes.

.. math::

    v = \operatorname{f32}\Bigl(\sum_i q_i\Bigr) \cdot \operatorname{f32}(1 / n)             \tag{1}

becomes a code by ``fake_quantize``, eq. (3) and (4), with :math:`d = s_x` and :math:`m = z_x`.
Padding that counts is the code 0, and not the zero point: it is no real 0.

References
----------
OpenVINO 2026.4.1, ``src/common/low_precision_transformations/src/avg_pool.cpp``; oneDNN,
``src/cpu/x64/jit_avx512_core_i8i8_pooling.cpp``.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from refquant.ops.windows import pad_spatial, taps
from refquant_conformance.arithmetic.base import Outputs
from refquant_conformance.arithmetic.fake_quantize import sums_by_range
from refquant_conformance.arithmetic.geometry import Geometry
from refquant_conformance.arithmetic.rules import rule
from refquant_conformance.oracle_fake_quantize import sum_by_range_exact
from refquant_conformance.protocol import Case
from refquant_conformance.rational import divide, float32, multiply
from refquant_conformance.types import code_range, storage

__all__ = ["average_by_range", "average_by_range_exactly"]

_ONE = np.float32(1)


def average_by_range(case: Case, window: Geometry, counted: int) -> Outputs:
    """Return the codes of a pool by eq. (1); ``counted`` is 1 if padding counts."""
    plan, inputs = window.window(), case.inputs
    sums = np.asarray(sum(taps(pad_spatial(inputs["x"].astype(np.int64), plan, 0), plan)))
    ones = np.ones((1, 1, *window.size), np.int64)
    n = np.asarray(sum(taps(pad_spatial(ones, plan, counted), plan)), np.float32)
    y = sums_by_range(
        (sums.astype(np.float32) * (_ONE / n))[..., None],
        np.array([rule(case, "x")[1]]),
        (inputs["x_scale"], np.asarray(_ONE), inputs["y_scale"]),
        zero_point=rule(case, "y")[1],
        codes=case.types["y"],
        limits=code_range(case.types["y"]),
    )
    return {"y": y[..., 0].astype(storage(case.types["y"]))}


def average_by_range_exactly(case: Case, codes: Sequence[int], n: int) -> int:
    """Return one element of ``average_by_range`` by the oracle: of ``codes``, with n that count."""
    (sx, zx), (sy, zy), limits = rule(case, "x"), rule(case, "y"), code_range(case.types["y"])
    return sum_by_range_exact(
        Fraction(multiply(float32(sum(codes)), divide(1.0, float(n)))),
        0,
        [(zx, 1.0)],
        scales=(sx, sy),
        zero_point=zy,
        codes=limits,
        limits=limits,
    )
