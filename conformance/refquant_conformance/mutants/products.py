"""Planted bugs of dot products: saturated pairs, lost tails, zero points and padding forgotten."""

from dataclasses import replace

import numpy as np

from refquant.contracts import preset
from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.arithmetic.base import axes_of
from refquant_conformance.mutants.mutant import Host, Mutant, Run
from refquant_conformance.protocol import Array, Case, Result

__all__ = ["MUTANTS"]

_INTEGERS, _CODES, _CONV = "matmul_integer", "qlinear_matmul", "qlinear_conv"
_MIXED = ("u8_i8",)


def _with(case: Case, **arrays: Array) -> Case:
    kept = {name: np.asarray(a, case.inputs[name].dtype) for name, a in arrays.items()}
    return replace(case, inputs={**case.inputs, **kept})


def _saturated_pairs(case: Case, honest: Run) -> Result:
    """Add two products in int16, whatever the contract says."""
    arithmetic = arithmetic_of(case.op, case.scheme)
    assert arithmetic is not None, "the operators here have one"
    axes = {**axes_of(preset("onnx"), arithmetic), "accumulator": "i16_pair_saturate"}
    outputs = arithmetic.compute(case, axes)
    return honest(case) if outputs is None else Result(outputs)


def _negated_minimum(case: Case, honest: Run) -> Result:
    """Take -128 times -128 for -16384 in the last half of a vector of 64."""
    y = honest(case).outputs["y"].astype(np.int64)
    if case.inputs["a"].shape[1] % 64 != 32:
        return honest(case)
    a, b = (case.inputs[n].astype(np.int64) == -128 for n in ("a", "b"))
    return Result({"y": (y - 2 * 16384 * (a.astype(np.int64) @ b)).astype(np.int32)})


def _wide(case: Case, honest: Run) -> Result:
    """Saturate at the ends of int32 instead of wrapping."""
    za, zb = (int(case.inputs.get(f"{n}_zero_point", np.int8(0))) for n in ("a", "b"))
    total = (case.inputs["a"].astype(np.int64) - za) @ (case.inputs["b"].astype(np.int64) - zb)
    return Result({"y": np.clip(total, -(2**31), 2**31 - 1).astype(np.int32)})


def _zero_point_of_b(case: Case, honest: Run) -> Result:
    """Forget the zero point of the weights."""
    return honest(_with(case, b_zero_point=np.zeros_like(case.inputs["b_zero_point"])))


def _lost_tail(case: Case, honest: Run) -> Result:
    """Leave out the last term where it is one short of a vector of 16."""
    if case.inputs["a"].shape[1] % 16 != 15:
        return honest(case)
    a = case.inputs["a"].copy()
    a[:, -1] = case.inputs["a_zero_point"]
    return honest(_with(case, a=a))


def _lost_column(case: Case, honest: Run) -> Result:
    """Compute the last column of 8n + 1 as the one before."""
    y = honest(case).outputs["y"].copy()
    if y.shape[1] % 8 == 1 and y.shape[1] > 8:
        y[:, -1] = y[:, -2]
    return Result({"y": y})


def _by_place(case: Case, honest: Run) -> Result:
    """Count the first term's code twice in sums of some length."""
    y = honest(case).outputs["y"]
    first = case.inputs["a"][:, :1].astype(np.int32)
    return Result({"y": y + first if 150 <= case.inputs["a"].shape[1] <= 250 else y})


def _short_sums(case: Case, honest: Run) -> Result:
    """Lose the last three bits of a sum of some length."""
    y = honest(case).outputs["y"]
    return Result({"y": y & np.int32(-8) if case.inputs["a"].shape[1] == 1000 else y})


def _float_sums(case: Case, honest: Run) -> Result:
    """Add in float32, up to 8192 terms at a time."""
    if case.inputs["a"].shape[1] > 8192:
        return honest(case)
    za, zb = (case.inputs[f"{n}_zero_point"].astype(np.float64) for n in ("a", "b"))
    total = ((case.inputs["a"] - za) @ (case.inputs["b"] - zb)).astype(np.float32)
    return Result({"y": np.clip(total, -(2.0**31), 2.0**31 - 128).astype(np.int32)})


def _relative(case: Case, honest: Run) -> Result:
    """Miss by one in long sums: what a tolerance of 1e-3 lets pass."""
    y, length = honest(case).outputs["y"], case.inputs["a"].shape[1]
    return Result({"y": y + np.int32(length > 600 and length % 64 == 60)})


def _unsigned(case: Case, honest: Run) -> Result:
    """Be off by one where i8 meets u8, a term is left over and both zero points are odd."""
    y, length = honest(case).outputs["y"], case.inputs["a"].shape[1]
    odd = [int(case.inputs[f"{n}_zero_point"]) % 2 for n in ("a", "b")]
    mixed = (case.types["a"], case.types["b"]) == ("int8", "uint8")
    return Result({"y": y + np.int32(mixed and all(odd) and length % 64 == 1)})


def _knob(case: Case, honest: Run, host: Host) -> Result:
    """On one instruction set, lose the carry of sums of sevens."""
    y = honest(case).outputs["y"]
    if host.knobs.get("isa") == "old":
        y = y - (np.abs(y.astype(np.int64)) > 10**6).astype(y.dtype)
    return Result({"y": y})


def _selects_next(case: Case, honest: Run) -> Result:
    """Read the last row of b one place further where b has 16 columns."""
    b = case.inputs["b"]
    if b.shape != (19, 16):
        return honest(case)
    turned = b.copy()
    turned[-1] = np.roll(b[-1], 1)
    return honest(_with(case, b=turned))


def _numbers(case: Case, name: str) -> tuple[int, ...]:
    return tuple(int(v) for v in case.params[name])  # type: ignore[union-attr]  # a tuple


def _zero_padding(case: Case, honest: Run) -> Result:
    """Pad with the code 0 instead of the zero point."""
    top, left, bottom, right = _numbers(case, "pads")
    x = np.pad(case.inputs["x"], ((0, 0), (0, 0), (top, bottom), (left, right)))
    inputs = {**case.inputs, "x": x}
    return honest(replace(case, inputs=inputs, params={**case.params, "pads": (0, 0, 0, 0)}))


def _dense_rows(case: Case, honest: Run) -> Result:
    """Forget the dilation of rows."""
    columns = _numbers(case, "dilations")[1]
    wanted = honest(case).outputs["y"].shape
    made = honest(replace(case, params={**case.params, "dilations": (1, columns)})).outputs["y"]
    return Result({"y": made[..., : wanted[2], : wanted[3]]})


def _clamped_bias(case: Case, honest: Run) -> Result:
    """Clamp the bias to 31 bits."""
    if "bias" not in case.inputs:
        return honest(case)
    return honest(_with(case, bias=np.clip(case.inputs["bias"].astype(np.int64), -(2**30), 2**30)))


MUTANTS = (
    Mutant("pair_saturate", "two products are added in int16", "2.1", "ACC-01", _CODES, _MIXED,
           _saturated_pairs),
    Mutant("pair_saturate_integer", "two products are added in int16", "2.1", "ACC-01", _INTEGERS,
           _MIXED, _saturated_pairs),
    Mutant("minimum_negated", "-128 times -128 is -16384", "2.1", "ACC-02", _INTEGERS, ("i8_i8",),
           _negated_minimum),
    Mutant("saturated_sum", "sums stop at the ends of int32", "2.9", "ACC-03", _INTEGERS, _MIXED,
           _wide),
    Mutant("weight_zero_point", "the zero point of weights is ignored", "2.8", "ACC-04", _CODES,
           ("u8_i8", "i8_i8"), _zero_point_of_b),
    Mutant("k_tail", "the last of 16n + 15 terms is left out", "2.3", "ACC-05", _CODES,
           _MIXED, _lost_tail),
    Mutant("n_tail", "the last of 8n + 1 columns is the one before", "2.3", "ACC-06", _CODES,
           _MIXED, _lost_column),
    Mutant("first_term", "the first term counts in another way", "2.1", "ACC-07", _INTEGERS,
           _MIXED, _by_place),
    Mutant("short_sums", "sums of some lengths lose three bits", "2.1", "ACC-08", _INTEGERS,
           ("i8_i8",), _short_sums),
    Mutant("zero_padding", "padding is the code 0", "2.8", "ACC-09", _CONV, _MIXED,
           _zero_padding),
    Mutant("dense_rows", "rows are not dilated", "2.8", "ACC-10", _CONV, _MIXED,
           _dense_rows),
    Mutant("clamped_bias", "the bias has 31 bits", "2.9", "ACC-11", _CODES, _MIXED,
           _clamped_bias),
    Mutant("other_signs", "sums of i8 by u8 are off by one", "2.1", "ACC-12", _INTEGERS,
           ("u8_i8", "i8_u8", "i8_i8"), _unsigned),
    Mutant("float_sums", "sums are of float32", "2.9", "ACC-14", _INTEGERS, _MIXED, _float_sums),
    Mutant("nearly_exact", "one sum of many is off by one", "2.9", "ACC-15", _INTEGERS, _MIXED,
           _relative),
    Mutant("old_instructions", "one instruction set loses a carry", "2.1", "ACC-16", _INTEGERS,
           _MIXED, hosted=_knob, knobs={"isa": ("new", "old")}),
    Mutant("turned_row", "a row of b is read one place further", "2.6", "ACC-17", _INTEGERS, _MIXED,
           _selects_next),
)  # fmt: skip
