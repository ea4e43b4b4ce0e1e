"""Planted bugs of the other operators: rounding of sums, small accumulators, wrapped codes."""

from dataclasses import replace

import numpy as np

from refquant_conformance.arithmetic.numpy_functions import piece_of
from refquant_conformance.arithmetic.rules import real_quantized, rule
from refquant_conformance.mutants.mutant import Mutant, Run
from refquant_conformance.mutants.otherwise import Otherwise
from refquant_conformance.protocol import Case, Result
from refquant_conformance.tanh_pieces import TANH_PIECES
from refquant_conformance.types import code_range

__all__ = ["MUTANTS"]

_EIGHT = ("u8", "i8")


def _moved(case: Case, honest: Run) -> Result:
    """Move codes by one where input and output have equal parameters and the other is constant."""
    y = honest(case).outputs["y"].copy()
    equal = all(case.inputs[f"a_{n}"] == case.inputs[f"y_{n}"] for n in ("scale", "zero_point"))
    if equal and case.inputs["b"].ndim == 1 and y.size > 200:
        y[100] += 1
    return Result({"y": y})


def _small_sum(case: Case, honest: Run) -> Result:
    """Add the codes of a window in int16."""
    kernel = case.params["kernel"]
    assert isinstance(kernel, tuple), "a window has a kernel"
    y = honest(case).outputs["y"]
    if kernel[0] * kernel[1] * 255 < 2**15:
        return Result({"y": y})
    total = case.inputs["x"].astype(np.int64).sum(axis=(2, 3), keepdims=True)
    wrapped = (total + 2**15) % 2**16 - 2**15
    mean = np.clip(wrapped // (kernel[0] * kernel[1]), *code_range(case.types["y"]))
    return Result({"y": np.broadcast_to(mean, y.shape).astype(y.dtype)})


def _first_axis(case: Case, honest: Run) -> Result:
    """Divide by the number of rows squared instead of rows times columns."""
    x = case.inputs["x"]
    rows, columns = x.shape[-2:]
    if rows == columns or rows < 3:
        return honest(case)
    scale = np.float32(case.inputs["x_scale"] * np.float32(columns) / np.float32(rows))
    return honest(replace(case, inputs={**case.inputs, "x_scale": np.asarray(scale)}))


def _wrapped(case: Case, honest: Run) -> Result:
    """Let the largest share, 256 steps, become the smallest code."""
    x, y = case.inputs["x"].astype(np.int64), honest(case).outputs["y"].copy()
    real = (x - x.max(axis=-1, keepdims=True)) * float(case.inputs["x_scale"])
    share = np.exp(real) / np.exp(real).sum(axis=-1, keepdims=True)
    y[share > 255.5 / 256] = code_range(case.types["y"])[0]
    return Result({"y": y})


def _table(case: Case, at: float, by: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    real = case.inputs["x"].astype(np.float64) - int(case.inputs["x_zero_point"])
    return np.asarray(np.abs(real * float(case.inputs["x_scale"]) - at) < by / 16)


def _coarse(case: Case, honest: Run) -> Result:
    """Be one code off in the middle of the curve, on both sides, as a coarse table is."""
    y = honest(case).outputs["y"].astype(np.int64)
    y = y + _table(case, 1.0, 4) - _table(case, -1.0, 4)
    return Result({"y": np.clip(y, *code_range(case.types["y"])).astype(case.types["y"])})


def _open_end(case: Case, honest: Run) -> Result:
    """Stop one code before the end of the range where the steps of x are large."""
    y = honest(case).outputs["y"]
    if float(case.inputs["x_scale"]) < 0.2:
        return Result({"y": y})
    return Result({"y": np.minimum(y, np.array(code_range(case.types["y"])[1] - 1, y.dtype))})


def _no_slope(case: Case, honest: Run) -> Result:
    """Truncate below zero instead of rounding."""
    y = honest(case).outputs["y"].astype(np.int64)
    below = case.inputs["x"].astype(np.int64) < int(case.inputs["x_zero_point"])
    offset = case.inputs["x"].astype(np.float64) - float(case.inputs["x_zero_point"])
    slope = float(case.params["alpha"]) * float(case.inputs["x_scale"])  # type: ignore[arg-type]  # a number
    cut = np.trunc(offset * slope / float(case.inputs["y_scale"]))
    cut = cut + int(case.inputs["y_zero_point"])
    wrong = np.clip(cut, *code_range(case.types["y"])).astype(np.int64)
    return Result({"y": np.where(below, wrong, y).astype(case.types["y"])})


def _mirrored(case: Case, honest: Run) -> Result:
    """Take e^-|x| / (1 + e^-|x|) above zero, too."""
    x, zero = case.inputs["x"].astype(np.int64), int(case.inputs["x_zero_point"])
    below = np.maximum(zero - np.abs(x - zero), code_range(case.types["x"])[0])
    return honest(replace(case, inputs={**case.inputs, "x": below.astype(case.inputs["x"].dtype)}))


def _flat_pieces(case: Case, honest: Run) -> Result:
    """Be the value in the middle of each of 32 pieces."""
    scale, zero = rule(case, "x")
    x = np.float32(scale) * (case.inputs["x"].astype(np.float32) - np.float32(zero))
    middle = np.array(TANH_PIECES, np.uint32).view(np.float32)[piece_of(x), 1]
    codes = real_quantized(np.copysign(middle, x), rule(case, "y"), code_range(case.types["y"]))
    return Result({"y": codes.astype(case.types["y"])})


MUTANTS = (
    Mutant("add_by_ratios", "a sum is formed of ratios of scales", "2.4", "OP-01", "qlinear_add",
           _EIGHT, Otherwise(add="scale_ratios")),
    Mutant("mul_half_away", "ties of a product go away from zero", "2.4", "OP-01", "qlinear_mul",
           _EIGHT, Otherwise(requantize="float64_half_away")),
    Mutant("no_identity", "x + 0 is not x for one code", "2.4", "OP-02", "qlinear_add", _EIGHT,
           _moved),
    Mutant("small_sum", "256 codes are added in int16", "2.8", "OP-03", "qlinear_average_pool",
           _EIGHT, _small_sum),
    Mutant("average_early", "the zero point of an average is added before it is rounded", "2.8",
           "OP-03", "qlinear_average_pool", _EIGHT,
           Otherwise(average_pool="dequantize_zero_point_first")),
    Mutant("average_in_pairs", "windows are summed in another order", "2.8", "OP-03",
           "qlinear_average_pool", _EIGHT, Otherwise(average_pool="dequantize_pairwise")),
    Mutant("mean_in_pairs", "planes are summed in another order", "2.8", "OP-04", "qlinear_mean",
           _EIGHT, Otherwise(mean="dequantize_pairwise")),
    Mutant("square_mean", "a mean divides by rows times rows", "2.8", "OP-04", "qlinear_mean",
           _EIGHT, _first_axis),
    Mutant("wrapped_softmax", "a share of 1 becomes the smallest code", "2.8", "OP-06",
           "qlinear_softmax", _EIGHT, _wrapped),
    Mutant("coarse_table", "a table is one code off in places", "2.8", "OP-07",
           "qlinear_sigmoid", _EIGHT, _coarse),
    Mutant("mirrored_curve", "both sides of zero take one branch", "2.8", "OP-07",
           "qlinear_sigmoid", _EIGHT, _mirrored),
    Mutant("flat_pieces", "a polynomial is its first term", "2.8", "OP-07", "qlinear_tanh", _EIGHT,
           _flat_pieces),
    Mutant("open_end", "the last code is never reached", "2.8", "OP-08", "qlinear_tanh", _EIGHT,
           _open_end),
    Mutant("truncated_slope", "below zero, codes are cut off", "2.8", "OP-12",
           "qlinear_leaky_relu", _EIGHT, _no_slope),
)  # fmt: skip
