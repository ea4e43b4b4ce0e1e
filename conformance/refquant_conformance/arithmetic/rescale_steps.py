r"""Products whose accumulator is taken to the output scale in steps, with a bias that is a real.

``rescale`` forms one multiplier and adds the bias to the accumulator. Some engines know the bias as
a float32 :math:`b = f32(f32(bias) \otimes (s_a \otimes s_b))`, and some never form a multiplier.
Every operation is rounded to float32; ``acc`` has no bias here.

``float32_steps`` (oneDNN): one scale after the other, the zero point before the rounding,

.. math::

    y = \operatorname{clamp}(\operatorname{rint}(((acc \otimes s_a) \otimes s_b \oplus b)
        \otimes (1 \oslash s_y) \oplus z_y))                                             \tag{1}

``float_rne_real_bias`` (FBGEMM): the bias in steps of the accumulator; fused, by a reciprocal,
where b has one scale, and divided where it has one a column:

.. math::

    y = \operatorname{clamp}(\operatorname{rint}(t \otimes ((s_a \otimes s_b) \oslash s_y)) + z_y),
    \qquad t = \mathrm{fma}(b, 1 \oslash (s_a \otimes s_b), acc)
    \ \text{ or } \ acc \oplus b \oslash (s_a \otimes s_b)                               \tag{2}

``factors_half_away`` (ncnn): scales are kept as factors :math:`f = 1 \oslash s`; codes end at
-127, and there are no zero points,

.. math::

    y = \operatorname{clamp}(\operatorname{round}((acc \otimes (1 \oslash (f_a \otimes f_b))
        \oplus b) \otimes f_y))                                                          \tag{3}

with ties away from zero. Without a bias, (2) is ``float_rne``.

References
----------
oneDNN 3, attributes of scales and zero points; FBGEMM ``src/QuantUtilsAvx2.cc``; ncnn
``src/layer/x86/requantize_x86.cpp``. Each was fitted to what the engines answer.
"""

from dataclasses import replace

import numpy as np

from refquant.numerics.fused import fused_multiply_add
from refquant.numerics.rounding import round_half_away
from refquant_conformance.oracle_steps import rescale_in_steps_exact
from refquant_conformance.protocol import Array, Case

__all__ = ["STEPS", "in_steps", "in_steps_exactly", "without_bias"]

STEPS = ("float32_steps", "float_rne_real_bias", "factors_half_away")
"""The values of ``requantize`` that this file computes."""

_ONE = np.float32(1)
_NARROW = -127


def without_bias(case: Case) -> Case:
    """Return a product whose sums are those of codes alone."""
    return replace(case, inputs={k: v for k, v in case.inputs.items() if k != "bias"})


def in_steps(
    acc: Array,
    bias: Array | None,
    scales: tuple[Array, Array, Array],
    *,
    case: Case,
    limits: tuple[int, int],
    mode: str,
) -> Array | None:
    """Return the codes of sums without a bias, int64, by (1), (2) or (3); None where refused.

    ``scales`` are those of a, b and y; bias and the scale of b broadcast against ``acc``. The zero
    point is the case's: 128 here.

    >>> from refquant_conformance.adapters.samples import sample
    >>> one, case = np.float32(1), sample("qlinear_matmul", "u8_i8")
    >>> in_steps(np.array([3, 5]), None, (one, np.float32(0.5), one), case=case,
    ...          limits=(0, 255), mode="float32_steps").tolist()
    [130, 130]
    """
    zero_point = int(case.inputs["y_zero_point"])
    if mode == "factors_half_away" and zero_point:
        return None
    sa, sb, sy = (np.asarray(scale, np.float32) for scale in scales)
    with np.errstate(all="ignore"):  # a product that is infinite is the largest code
        total, unit = acc.astype(np.float32), sa * sb
        real = np.zeros(1, np.float32) if bias is None else bias.astype(np.float32) * unit
        if mode == "float32_steps":
            v = ((total * sa) * sb + real) * (_ONE / sy) + np.float32(zero_point)
            return _clamped(np.rint(v), limits)
        if mode == "factors_half_away":
            factor = _ONE / ((_ONE / sa) * (_ONE / sb))
            v = (total * factor + real) * (_ONE / sy)
            return _clamped(round_half_away(v), (max(limits[0], _NARROW), limits[1]))
        if bias is not None:
            fused = fused_multiply_add(real, _ONE / unit, total)
            total = total + real / unit if _divided(case) else fused
        return _clamped(np.rint(total * (unit / sy)) + zero_point, limits)


def _divided(case: Case) -> bool:
    return case.scheme.endswith("_channel")


def _clamped(v: Array, limits: tuple[int, int]) -> Array:
    return np.asarray(np.nan_to_num(np.clip(v, *limits), nan=limits[0]), np.int64)


def in_steps_exactly(
    acc: int,
    bias: int | None,
    scales: tuple[float, float, float],
    *,
    case: Case,
    limits: tuple[int, int],
    mode: str,
) -> int | None:
    """Return the twin of ``in_steps`` for one output, by the oracle."""
    zero_point, narrow = int(case.inputs["y_zero_point"]), mode == "factors_half_away"
    if narrow and zero_point:
        return None
    return rescale_in_steps_exact(
        acc,
        bias,
        scales,
        zero_point=zero_point,
        limits=(max(limits[0], _NARROW) if narrow else limits[0], limits[1]),
        mode=mode,
        divided=_divided(case),
    )
