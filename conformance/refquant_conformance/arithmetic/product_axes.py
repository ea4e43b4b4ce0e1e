"""The axes of matrix products and convolutions of codes: those of ``rescale``, and more.

``requantize`` has the modes of ``rescale``, which need a multiplier and an accumulator of codes;
``by_range`` (``fake_quantize``) and the steps of ``rescale_steps``, which have no multiplier; and
sums of reals, which have neither: those of ``real_sums``, and ``by_range_of_reals``.
"""

from refquant.contracts.axes import AxisValue
from refquant_conformance.arithmetic.base import Axes
from refquant_conformance.arithmetic.real_sums import ORDERS
from refquant_conformance.arithmetic.rescale import RESCALE_AXES, again
from refquant_conformance.arithmetic.rescale_steps import STEPS
from refquant_conformance.protocol import Case
from refquant_conformance.types import code_range

__all__ = [
    "MATMUL_AXES",
    "PRODUCT_AXES",
    "again_or_no_multiplier",
    "idle",
    "limits_of",
    "with_bias",
]

PRODUCT_AXES: dict[str, tuple[AxisValue, ...]] = {
    **RESCALE_AXES,
    "requantize": (*RESCALE_AXES["requantize"], "by_range", "by_range_of_reals", *ORDERS, *STEPS),
}
"""The axes of a dot product, the range of its output, sums of reals, and steps of float32."""


_BY_BIAS = "reals_mlas_codes_with_bias"

MATMUL_AXES = {**PRODUCT_AXES, "requantize": (*PRODUCT_AXES["requantize"], _BY_BIAS)}
"""Those of matrix products: onnxruntime fuses a Gemm of int8 into codes, and no MatMul."""


def with_bias(case: Case, axes: Axes) -> Axes:
    """Return the axes of a matrix product, which may depend on whether it has a bias."""
    if axes["requantize"] != _BY_BIAS:
        return axes
    return {**axes, "requantize": "float_rne" if "bias" in case.inputs else "reals_mlas"}


_RANGES = ("by_range", "by_range_of_reals")  # the second has one accumulator, and refuses others


def idle(axes: Axes) -> tuple[str, ...]:
    """Return the axes that cannot matter: reals have no multiplier, and no int32 to wrap.

    >>> idle({"requantize": "reals_fused"}), idle({"requantize": "by_range"})
    (('multiplier', 'accumulator'), ('multiplier',))
    """
    if axes["requantize"] in (*ORDERS, "reals_openblas"):
        return ("multiplier", "accumulator")
    return ("multiplier",) if axes["requantize"] in (*_RANGES, *STEPS) else ()


def again_or_no_multiplier(axes: Axes) -> bool:
    """Return whether another choice computes the same.

    >>> axes = {"requantize": "reals_fused", "multiplier": "product_f64"}
    >>> again_or_no_multiplier({**axes, "accumulator": "int32_wrap"})
    True
    """
    if axes["requantize"] in ("by_range", *STEPS):
        return axes["multiplier"] != "product_f32"
    if axes["requantize"] in (*ORDERS, "by_range_of_reals", "reals_openblas", _BY_BIAS):
        return (axes["multiplier"], axes["accumulator"]) != ("product_f32", "int32_wrap")
    return again(axes)


def limits_of(case: Case) -> tuple[int, int]:
    """Return the smallest and the largest code of y, the fused activation included.

    >>> from refquant_conformance.adapters.samples import sample
    >>> limits_of(sample("qlinear_matmul", "u8_i8"))
    (0, 255)
    """
    qmin, qmax = code_range(case.types["y"])
    low, high = case.params.get("clamp_min"), case.params.get("clamp_max")
    return (qmin if low is None else int(low), qmax if high is None else int(high))  # type: ignore[arg-type]  # codes are integers
