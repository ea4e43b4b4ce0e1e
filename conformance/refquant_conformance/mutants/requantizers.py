"""Planted bugs of requantization, one or more for each property RQ-01 to 11."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from refquant_conformance.arithmetic.rescale import accumulated, formed
from refquant_conformance.mutants.mutant import Mutant, Run
from refquant_conformance.mutants.quantizers import Changed
from refquant_conformance.protocol import Array, Case, Result
from refquant_conformance.types import code_range

__all__ = ["MUTANTS"]

_MAIN = ("u8_i8", "i8_i8")
_CHANNEL = ("u8_i8_channel", "i8_i8_channel")

Change = Callable[[Case, Array, Array, Array], Array]


def altered(change: Change) -> Callable[[Case, Run], Result]:
    """Return the reference whose codes (int64) are changed, given sums and multiplier."""

    def run(case: Case, honest: Run) -> Result:
        made, inputs = honest(case), case.inputs
        acc = accumulated(
            inputs["a"],
            inputs["b"],
            zero_points=(inputs["a_zero_point"], inputs["b_zero_point"]),
            bias=inputs.get("bias"),
            types=(case.types["a"], case.types["b"]),
            accumulator="int32_wrap",
        )
        scales = inputs["a_scale"], inputs["b_scale"], inputs["y_scale"]
        y = made.outputs["y"].astype(np.int64)
        assert acc is not None, "sums that wrap are never refused"
        y = change(case, acc, formed(scales, "product_f32"), y)
        return Result(
            {"y": np.clip(y, *code_range(case.types["y"])).astype(made.outputs["y"].dtype)}
        )

    return run


def _point(case: Case) -> int:
    return int(case.inputs["y_zero_point"])


def _entry(case: Case, acc: Array, m: Array, y: Array) -> Array:
    return np.asarray(y + ((acc > 43_200) & (acc < 43_320) & (m > 2.0**-10) & (m < 2.0**-9)))


def _almost(case: Case, acc: Array, m: Array, y: Array) -> Array:
    """Round a mantissa of ones up to the next power of two."""
    mantissa = np.frexp(m.astype(np.float64))[0]
    full = (mantissa < 1) & (mantissa >= 1 - 2.0**-24)
    other = np.rint(acc * np.exp2(np.round(np.log2(m.astype(np.float64))))) + _point(case)
    return np.where(full, other.astype(np.int64), y)


def _lowest(case: Case, acc: Array, m: Array, y: Array) -> Array:
    """Take the magnitude of -2^31 in int32, which is negative still."""
    return np.where(acc == -(2**31), code_range(case.types["y"])[1], y)


def _always_up(case: Case, acc: Array, m: Array, y: Array) -> Array:
    return np.asarray(y + ((m == 3 / 32) | (m == 3 / 128)))


def _large_ties(case: Case, acc: Array, m: Array, y: Array) -> Array:
    """Round large negative ties up."""
    exact = acc * m.astype(np.float64)
    tie = (exact % 1 == 0.5) & (exact < 0) & (acc < -(2**11)) & (m < 2.0**-11)
    return np.where(tie, np.ceil(np.where(tie, exact, 0)).astype(np.int64) + _point(case), y)


def _no_left_shift(case: Case, acc: Array, m: Array, y: Array) -> Array:
    """Drop the left shift of multipliers above 1."""
    return np.where(m > 1, np.rint(acc * (m / 2)).astype(np.int64) + _point(case), y)


def _clamp_first(case: Case, honest: Run) -> Result:
    """Clamp before the zero point is added."""
    low, high = (case.params[name] for name in ("clamp_min", "clamp_max"))
    bare = honest(replace(case, params={"clamp_min": None, "clamp_max": None})).outputs["y"]
    z, (qmin, qmax) = _point(case), code_range(case.types["y"])
    y = bare.astype(np.int64) - z
    y = np.maximum(y, y if low is None else int(low))  # type: ignore[arg-type]  # codes are integers
    y = np.minimum(y, y if high is None else int(high))  # type: ignore[arg-type]  # codes are integers
    return Result({"y": np.clip(y + z, qmin, qmax).astype(bare.dtype)})


def _last_channel(case: Case, honest: Run) -> Result:
    """Give the last of an odd number of columns its neighbour's scale."""
    scale = case.inputs["b_scale"].copy()
    if scale.size % 2 and scale.size > 1:
        scale[-1] = scale[-2]
    return honest(replace(case, inputs={**case.inputs, "b_scale": scale}))


def _cut(case: Case, acc: Array, m: Array, y: Array) -> Array:
    """Truncate sums beyond 2^25 on their way to float32."""
    large = np.abs(acc) > 2**25
    kept = (np.abs(acc) >> 4 << 4) * np.sign(acc)
    product = (kept.astype(np.float32) * m).astype(np.float32)
    return np.where(large, np.rint(product).astype(np.int64) + _point(case), y)


def _product(
    name: str,
    sentence: str,
    zoo: str,
    killer: str,
    run: Callable[[Case, Run], Result],
    schemes: tuple[str, ...] = _MAIN,
    name_of_preset: str = "onnx",
) -> Mutant:
    return Mutant(name, sentence, zoo, killer, "qlinear_matmul", schemes, run, name_of_preset)


MUTANTS = (
    _product("neon_ties", "the second rounding has ties up, the declared one away", "2.2", "RQ-01",
             Changed("tflite_reference", requantize="neon_double"),
             name_of_preset="tflite_reference"),
    _product("one_rounding", "one rounding instead of two", "2.2", "RQ-01",
             Changed("tflite_reference", requantize="single"), name_of_preset="tflite_reference"),
    _product("other_multiplier", "the multiplier is sa times sb / sy", "2.2", "RQ-01",
             Changed(multiplier="weight_ratio_f32")),
    _product("evaluator_zero_point", "the zero point is added before rounding", "2.5", "RQ-01",
             Changed(requantize="float_zp_before_round")),
    _product("bad_entry_of_sums", "a hundred sums are one code too high", "2.2", "RQ-02",
             altered(_entry)),
    _product("ones_round_up", "a mantissa of ones becomes a power of two", "2.2", "RQ-03",
             altered(_almost)),
    _product("lowest_by_magnitude", "the magnitude of -2^31 overflows", "2.9", "RQ-04",
             altered(_lowest)),
    _product("always_up", "multipliers of 3/32 and 3/128 always round up", "2.2", "RQ-05",
             altered(_always_up)),
    _product("large_ties_up", "ties of large negative sums go up", "2.2", "RQ-06",
             altered(_large_ties)),
    _product("no_left_shift", "multipliers above 1 lose their left shift", "2.2", "RQ-07",
             altered(_no_left_shift)),
    _product("clamp_first", "the activation clamps before the zero point is added", "2.8", "RQ-08",
             _clamp_first),
    _product("last_channel", "the last column of an odd number has its neighbour's scale", "2.8",
             "RQ-09", _last_channel, _CHANNEL),
    _product("sums_cut", "sums beyond 2^25 lose four bits", "2.9", "RQ-11", altered(_cut)),
)  # fmt: skip
