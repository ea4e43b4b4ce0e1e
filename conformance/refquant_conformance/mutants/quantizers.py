"""Planted bugs of quantizers, one or more for each property QDQ-01 to 23.

Some are whole arithmetics under the name of another one (``Changed``); others are wrong for a few
reals only, as a table with a bad entry is: those show that a property looks where no other does.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from refquant.contracts import preset
from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.arithmetic.base import Axes, axes_of
from refquant_conformance.arithmetic.quantize_parameters import spread
from refquant_conformance.mutants.mutant import Host, Mutant, Run
from refquant_conformance.protocol import Array, Case, Result
from refquant_conformance.types import code_range, storage

__all__ = ["MUTANTS", "Changed"]

_EIGHT = ("f32_u8", "f32_i8")


class Changed:
    """The reference with other axes than those it declares."""

    def __init__(self, name: str = "onnx", **changed: str) -> None:
        self.name, self.changed = name, changed

    def __call__(self, case: Case, honest: Run) -> Result:
        """Compute by the wrong axes; refuse what they refuse."""
        arithmetic = arithmetic_of(case.op, case.scheme)
        assert arithmetic is not None, "mutants are of cells with an arithmetic"
        axes: Axes = {**axes_of(preset(self.name), arithmetic), **self.changed}
        outputs = arithmetic.compute(case, axes)
        return honest(case) if outputs is None else Result(outputs)


def steps_of(case: Case) -> Array:
    """Return x / s in float64: where on the ruler each real lies."""
    scale = spread(case)[0].astype(np.float64)
    with np.errstate(all="ignore"):
        return np.asarray(case.inputs["x"].astype(np.float64) / scale)


def altered(change: Callable[[Case, Array, Array], Array]) -> Callable[[Case, Run], Result]:
    """Return the reference whose codes (int64) are changed, given the steps."""

    def run(case: Case, honest: Run) -> Result:
        made = honest(case)
        with np.errstate(all="ignore"):  # infinities and NaN pass through what is meant for others
            y = change(case, steps_of(case), made.outputs["y"].astype(np.int64))
        qmin, qmax = code_range(case.types["y"])
        return Result({"y": np.clip(y, qmin, qmax).astype(storage(case.types["y"]))})

    return run


def where(chosen: Callable[[Array], Array], by: int) -> Callable[[Case, Run], Result]:
    """Return the reference whose codes are off by ``by`` for the chosen steps."""
    return altered(lambda case, steps, y: y + by * chosen(steps))


def _tail(case: Case, honest: Run) -> Result:
    """Round the last elements, which no vector holds, in another way."""
    y = honest(case).outputs["y"].copy()
    tail = y.shape[-1] % 16 if y.ndim else 0
    if tail:
        y[..., -tail:] = Changed(rounding="half_away")(case, honest).outputs["y"][..., -tail:]
    return Result({"y": y})


def _add_half(case: Case, steps: Array, y: Array) -> Array:
    """Add one half in float32 and truncate: 0.49999997 becomes 1."""
    near = np.float32(np.abs(steps)) == np.nextafter(np.float32(0.5), np.float32(0))
    return np.asarray(y + np.where(near, np.sign(steps), 0).astype(np.int64))


def _wrap_some(case: Case, steps: Array, y: Array) -> Array:
    """Convert to int64, keep the low byte, where the float fits int64."""
    held = (np.abs(steps) >= 2.0**31) & (np.abs(steps) < 2.0**62)
    low = np.where(held, steps, 0).astype(np.int64) + spread(case)[1]
    qmin = code_range(case.types["y"])[0]
    return np.where(held, (low - qmin) % 256 + qmin, y)


def _nan_tail(case: Case, steps: Array, y: Array) -> Array:
    """Give NaN another code in the rest of three behind vectors."""
    tail = np.arange(y.size).reshape(y.shape) >= y.size // 4 * 4
    return np.where(np.isnan(steps) & tail & (y.size > 4), code_range(case.types["y"])[1], y)


def _minus_zero(case: Case, steps: Array, y: Array) -> Array:
    return np.asarray(y - ((steps == 0) & np.signbit(case.inputs["x"])))


def _flushed(case: Case, honest: Run) -> Result:
    x = case.inputs["x"]
    flat = np.where(np.abs(x) < np.float32(2.0**-126), np.float32(0), x)
    return honest(replace(case, inputs={**case.inputs, "x": flat.astype(x.dtype)}))


def _spoiled(case: Case, honest: Run, host: Host) -> Result:
    """Keep the infinite reciprocal of a scale of 0 for one more call."""
    spoiled = host.memory.pop("spoiled", False)
    host.memory["spoiled"] = not bool((case.inputs["scale"] > 0).all())
    made = honest(case)
    return Result({"y": np.zeros_like(made.outputs["y"])}) if spoiled else made


def _large_scale(case: Case, steps: Array, y: Array) -> Array:
    scale, zero_point = spread(case)
    return np.where(scale > 2.0**110, zero_point, y)


def _signed_point(case: Case, honest: Run) -> Result:
    point = int(case.inputs["zero_point"])
    if point < 128:
        return honest(case)
    y = np.nan_to_num(np.rint(steps_of(case)) + point - 256)
    return Result({"y": np.clip(y, 0, 255).astype(np.uint8)})


def _narrow(case: Case, steps: Array, y: Array) -> Array:
    lowest = code_range(case.types["y"])[0] + (spread(case)[1] == 0)
    return np.where(np.isnan(steps), y, np.maximum(y, lowest))


def _sided(case: Case, steps: Array, y: Array) -> Array:
    """Round negative ties up where the scale is between 2 and 4."""
    scale = spread(case)[0]
    tie = (steps < 0) & (steps % 1 == 0.5) & (scale > 2) & (scale < 4)
    return np.where(tie, np.ceil(np.where(tie, steps, 0)).astype(np.int64) + spread(case)[1], y)


def _first_axis(case: Case, honest: Run) -> Result:
    """Take the scales along the first axis whenever their number allows it."""
    if case.inputs["scale"].shape[:1] == case.inputs["x"].shape[:1]:
        return honest(replace(case, params={**case.params, "axis": 0}))
    return honest(case)


def _middle(case: Case, honest: Run) -> Result:
    """Take the middle of the codes for a zero point that is not given."""
    if "zero_point" in case.inputs:
        return honest(case)
    code = case.types["zero_point"]
    middle = np.asarray((code_range(code)[1] + 1) // 2, storage(code))
    return honest(replace(case, inputs={**case.inputs, "zero_point": middle}))


def _signed_codes(case: Case, honest: Run) -> Result:
    """Read codes above 127 as negative numbers."""
    y = honest(case).outputs["y"]
    high = case.inputs["x"] > 127
    return Result({"y": np.where(high, y - np.float32(256) * case.inputs["scale"], y)})


def _cut(case: Case, honest: Run) -> Result:
    """Truncate codes beyond 2^24 on their way to float32."""
    x = case.inputs["x"].astype(np.int64)
    kept = np.where(np.abs(x) > 2**24, np.sign(x) * (np.abs(x) & ~0xFF), x)
    return honest(replace(case, inputs={**case.inputs, "x": kept.astype(np.int32)}))


def _quantizer(
    name: str,
    sentence: str,
    zoo: str,
    killer: str,
    run: Callable[[Case, Run], Result],
    schemes: tuple[str, ...] = _EIGHT,
    name_of_preset: str = "onnx",
) -> Mutant:
    return Mutant(name, sentence, zoo, killer, "quantize_linear", schemes, run, name_of_preset)


def _entry(steps: Array) -> Array:
    return np.asarray((steps > 17.2) & (steps < 17.3))


def _odd_whole(steps: Array) -> Array:
    return np.asarray((steps % 2 == 1) & (steps > 39) & (steps < 63))


MUTANTS = (
    Mutant("codes_as_int8", "codes above 127 are read as negative", "2.6", "QDQ-01",
           "dequantize_linear", ("u8_f32",), _signed_codes),
    _quantizer("half_away", "ties go away from zero", "2.3", "QDQ-02",
               Changed(rounding="half_away")),
    _quantizer("tail_half_away", "the last n mod 16 elements round half away", "2.3", "QDQ-02",
               _tail),
    _quantizer("reciprocal", "x is multiplied by 1/s instead of divided by s", "2.3", "QDQ-03",
               Changed(scale_op="reciprocal_f32")),
    _quantizer("add_one_half", "one half is added in float32, then the rest cut off", "2.3",
               "QDQ-04", altered(_add_half), name_of_preset="tflite_reference"),
    _quantizer("zero_point_first", "the zero point is added before rounding", "2.3, 2.5", "QDQ-05",
               Changed(zero_point_at="before_rounding")),
    _quantizer("cast_before_clip", "infinity becomes the lowest code: cast to int32 first", "2.5",
               "QDQ-06", Changed(overflow="int32_cast")),
    _quantizer("low_byte", "from 2^31 on the low byte of an int64 is the code", "2.5", "QDQ-07",
               altered(_wrap_some)),
    _quantizer("nan_tail", "NaN has another code behind the vectors", "2.9", "QDQ-08",
               altered(_nan_tail)),
    _quantizer("minus_zero", "-0 is below the zero point", "2.7", "QDQ-09", altered(_minus_zero)),
    _quantizer("flushed", "subnormal reals are zeros", "2.9", "QDQ-10", _flushed),
    Mutant("spoiled_by_zero_scale", "after a scale of 0 one more call is zeros", "2.9", "QDQ-11",
           "quantize_linear", _EIGHT, hosted=_spoiled),
    _quantizer("bad_entry", "one entry of a table is one too large", "2.3", "QDQ-12",
               where(_entry, 1)),
    _quantizer("whole_less_one", "some whole quotients lose one", "2.3", "QDQ-13",
               where(_odd_whole, -1)),
    _quantizer("dead_zone", "reals up to 0.6 scales are zero", "2.3", "QDQ-14",
               altered(lambda case, s, y: np.where(np.abs(s) < 0.6, spread(case)[1], y)
                       if (np.abs(s) < 0.6).any() else y)),
    _quantizer("one_sided", "negative ties go up for scales of 2 to 4", "2.3", "QDQ-15",
               altered(_sided), ("f32_i8",)),
    _quantizer("large_scale_flushed", "reciprocals of scales above 2^110 are flushed to zero",
               "2.9", "QDQ-16", altered(_large_scale)),
    _quantizer("zero_point_as_int8", "zero points above 127 are read as negative", "2.6", "QDQ-17",
               _signed_point, ("f32_u8",)),
    _quantizer("narrow", "without zero point the lowest code is never used", "2.3", "QDQ-18",
               altered(_narrow), ("f32_i8",)),
    _quantizer("first_axis", "scales lie along the first axis", "2.8", "QDQ-19", _first_axis,
               ("f32_u8_channel",)),
    _quantizer("half_truncated", "float16 is truncated", "2.3", "QDQ-20",
               Changed(rounding="toward_zero"), ("f16_u8", "f16_i8")),
    _quantizer("int4_wraps", "int4 wraps instead of saturating", "2.7", "QDQ-21",
               Changed(overflow="wrap"), ("f32_i4",)),
    _quantizer("absent_is_middle", "a missing zero point is the middle code", "2.6", "QDQ-22",
               _middle),
    Mutant("int32_cut", "int32 codes lose their low byte beyond 2^24", "2.9", "QDQ-23",
           "dequantize_linear", ("i32_f32",), _cut),
)  # fmt: skip
