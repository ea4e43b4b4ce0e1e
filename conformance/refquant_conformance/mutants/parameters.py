"""Planted bugs of chosen parameters, one or more for each property QPS-01 to 13."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from refquant_conformance.mutants.mutant import Mutant, Run
from refquant_conformance.mutants.quantizers import Changed
from refquant_conformance.protocol import Array, Case, Result

__all__ = ["MUTANTS"]

_ASYMMETRIC = ("asymmetric_u8", "asymmetric_i8")
_SYMMETRIC = ("symmetric_i8",)
_NONE = -(2**31)


def _chosen(scale: float, zero_point: int) -> Result:
    return Result(
        {"scale": np.asarray(scale, np.float32), "zero_point": np.asarray(zero_point, np.int32)}
    )


def altered(
    change: Callable[[Array, float, int], tuple[float, int]],
) -> Callable[[Case, Run], Result]:
    """Return the reference whose scale and zero point are changed, given the data."""

    def run(case: Case, honest: Run) -> Result:
        out = honest(case).outputs
        scale, zero_point = change(case.inputs["x"], float(out["scale"]), int(out["zero_point"]))
        changed = {"scale": np.asarray(scale, np.float32)}
        changed["zero_point"] = np.asarray(zero_point, out["zero_point"].dtype)
        return Result({**out, **changed})

    return run


def _truncated_point(case: Case, honest: Run) -> Result:
    """Return the truncated zero point beside codes made with the rounded one."""
    out = honest(case).outputs
    x = case.inputs["x"]
    real = -min(float(x.min(initial=0)), 0.0) / float(out["scale"])
    return Result({**out, "zero_point": np.asarray(int(real), out["zero_point"].dtype)})


def _nan_point(case: Case, honest: Run) -> Result:
    """Cast a NaN to int32 for the zero point."""
    return _chosen(np.nan, _NONE) if np.isnan(case.inputs["x"]).any() else honest(case)


def _empty_point(case: Case, honest: Run) -> Result:
    """Cast what the minimum of nothing gives to int32."""
    return honest(case) if case.inputs["x"].size else _chosen(np.nan, _NONE)


def _first_nan_only(case: Case, honest: Run) -> Result:
    """Compare so that only a NaN in the first place is seen."""
    x = case.inputs["x"]
    if x.size and not np.isnan(x.reshape(-1)[0]):
        kept = x.reshape(-1)[~np.isnan(x.reshape(-1))]
        return honest(replace(case, inputs={**case.inputs, "x": kept}))
    return honest(case)


def _whole_vectors(case: Case, honest: Run) -> Result:
    """Look at whole vectors of 64 only, once there is one."""
    x = case.inputs["x"]
    seen = x[: x.size // 64 * 64] if x.ndim == 1 and x.size > 64 else x
    return honest(replace(case, inputs={**case.inputs, "x": seen}))


def _codes_of_vectors(case: Case, honest: Run) -> Result:
    """Truncate the codes of long tensors."""
    out = honest(case).outputs
    x = case.inputs["x"]
    if x.size < 100 or float(out["scale"]) < 1:
        return Result(out)
    steps = np.floor(x / out["scale"]) + float(out["zero_point"])
    return Result({**out, "y": np.clip(steps, 0, 255).astype(np.uint8)})


def _one_more(x: Array, scale: float, zero_point: int) -> tuple[float, int]:
    return (scale * 254 / 256 if float(np.abs(x).max(initial=0)) > 6 else scale), zero_point


def _zeros(x: Array, scale: float, zero_point: int) -> tuple[float, int]:
    return (0.0, zero_point) if x.size and not x.any() else (scale, zero_point)


def _constant(x: Array, scale: float, zero_point: int) -> tuple[float, int]:
    same = x.size and x.any() and x.min() == x.max()
    return (1.0, 0) if same else (scale, zero_point)


def _underflow(x: Array, scale: float, zero_point: int) -> tuple[float, int]:
    tiny = 0 < float(np.abs(x).max(initial=0)) < 2.0**-118
    return (0.0, zero_point) if tiny else (scale, zero_point)


def _two_sided(x: Array, scale: float, zero_point: int) -> tuple[float, int]:
    """Divide by 127.5 instead of 127 where there are both signs."""
    low, high = float(x.min()), float(x.max())
    if low < 0 < high and max(-low, high) > 500:
        return max(-low, high) / 127.5, zero_point
    return scale, zero_point


def _outward(x: Array, scale: float, zero_point: int) -> tuple[float, int]:
    """Round the scale up where the negative end is the larger one."""
    low, high = float(x.min(initial=0)), float(x.max(initial=0))
    if -low > high > 0 and x.size == 3:
        return float(np.nextafter(np.float32(scale), np.float32(np.inf))), zero_point
    return scale, zero_point


def _choose(
    name: str,
    sentence: str,
    zoo: str,
    killer: str,
    run: Callable[[Case, Run], Result],
    schemes: tuple[str, ...] = _ASYMMETRIC,
) -> Mutant:
    return Mutant(name, sentence, zoo, killer, "choose_qparams", schemes, run)


def _dynamic(
    name: str, sentence: str, zoo: str, killer: str, run: Callable[[Case, Run], Result]
) -> Mutant:
    return Mutant(name, sentence, zoo, killer, "dynamic_quantize_linear", ("f32_u8",), run)


MUTANTS = (
    _dynamic("zero_point_truncated", "the zero point is truncated, the codes are not", "2.3",
             "QPS-01", _truncated_point),
    _choose("one_step_more", "the range is divided by 256 instead of 255", "2.5", "QPS-02",
            altered(_one_more)),
    _choose("nan_zero_point", "NaN in the data makes the zero point -2^31", "2.9", "QPS-03",
            _nan_point),
    _choose("zeros_scale_zero", "data of zeros have the scale 0", "2.9", "QPS-04", altered(_zeros)),
    _dynamic("evaluator_zeros", "data of zeros have the scale 1/255", "2.5", "QPS-04",
             Changed(zero_range="one_step")),
    _choose("constant_is_one", "constant data have the scale 1", "2.9", "QPS-05",
            altered(_constant)),
    _choose("scale_underflows", "tiny data have the scale 0", "2.9", "QPS-06",
            altered(_underflow)),
    _choose("first_nan_only", "only a NaN in the first place is seen", "2.9", "QPS-07",
            _first_nan_only),
    _choose("empty_zero_point", "no data make the zero point -2^31", "2.9", "QPS-08", _empty_point),
    _choose("rest_not_seen", "values behind the last whole vector are not looked at", "2.3",
            "QPS-09", _whole_vectors),
    _choose("scale_limited", "scales end at 2^40", "2.9", "QPS-10",
            altered(lambda x, s, z: (min(s, 2.0**40), z))),
    _choose("half_a_step", "127.5 steps instead of 127 where there are both signs", "2.5", "QPS-11",
            altered(_two_sided), _SYMMETRIC),
    _dynamic("long_truncated", "the codes of long tensors are truncated", "2.3", "QPS-12",
             _codes_of_vectors),
    _choose("rounded_outward", "the scale is rounded up where the negative end is larger", "2.3",
            "QPS-13", altered(_outward)),
)  # fmt: skip
