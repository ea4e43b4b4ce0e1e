"""What a proof accepts runs for every input; what runs for every input, a proof accepts."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import Contract, preset
from refquant.formats.affine import QParams
from refquant.ops.accumulate import AccumulatorOverflowError
from refquant.ops.elementwise import add_quantized
from refquant.ops.proofs import prove_add, prove_mul, prove_rescale
from refquant.ops.rescale import rescale

TFLITE = preset("tflite_reference")


def qparams(scale: float, zero_point: int = 0, dtype: str = "int8") -> QParams:
    return QParams(np.float32(scale), np.int32(zero_point), None, dtype)


def with_axes(**axes: Any) -> Contract:
    return Contract.from_json("changed", {**preset("onnx").to_json(), **axes})


@pytest.mark.parametrize(
    ("bound", "multiplier"), [(2**30 - 1, 1.0), (2**29 - 1, 3.9), (2**31 - 1, 0.999), (0, 2.0**20)]
)
def test_a_left_shift_is_allowed_up_to_the_bound_and_refused_one_above(
    bound: int, multiplier: float
) -> None:
    m = np.array([multiplier])
    prove_rescale(np.array([bound]), m, contract=TFLITE, name="conv")
    for acc in (bound, -bound):
        rescale("Conv", np.array([acc]), m, y_qparams=qparams(1), contract=TFLITE)
    with pytest.raises(AccumulatorOverflowError, match=r"conv: .*channel 0, up to"):
        prove_rescale(np.array([max(bound + 1, 2**11)]), m, contract=TFLITE, name="conv")


def test_the_float_modes_saturate_and_need_no_proof() -> None:
    prove_rescale(np.array([2**40]), np.array([1e30]), contract=preset("onnx"), name="conv")


def test_single_rounding_is_proved_by_its_result() -> None:
    contract = with_axes(requantize="single")
    prove_rescale(np.array([2**30 - 1]), np.array([1.999]), contract=contract, name="conv")
    with pytest.raises(AccumulatorOverflowError, match=r"conv: .*channel 1"):
        prove_rescale(np.array([1, 2**30]), np.array([2.0]), contract=contract, name="conv")


def test_mul_is_proved_over_all_codes() -> None:
    a, b = qparams(1.0, -128), qparams(1.0, 127)  # 255 * 255 << 15 < 2**31
    prove_mul(a_qparams=a, b_qparams=b, y_qparams=qparams(2.0**-14), contract=TFLITE, name="mul")
    with pytest.raises(AccumulatorOverflowError, match=r"mul: "):
        prove_mul(
            a_qparams=a, b_qparams=b, y_qparams=qparams(2.0**-15), contract=TFLITE, name="mul"
        )
    wide = qparams(1.0, -32768, "int16")
    with pytest.raises(AccumulatorOverflowError, match=r"mul: the product of two codes"):
        prove_mul(a_qparams=wide, b_qparams=wide, y_qparams=a, contract=TFLITE, name="mul")


@pytest.mark.parametrize("exponent", range(-26, 12))
@pytest.mark.parametrize("add", ["tflite_shift20", "xnnpack_shift20"])
def test_add_is_proved_exactly_when_every_pair_of_codes_computes(add: str, exponent: int) -> None:
    contract = with_axes(add=add)
    parameters: dict[str, Any] = {
        "a_qparams": qparams(1.0, 5),
        "b_qparams": qparams(0.3, -9),
        "y_qparams": qparams(2.0**exponent, 1),
        "contract": contract,
    }
    every = np.arange(-128, 128).astype(np.int8)
    try:
        add_quantized(every[:, None], every[None], **parameters)
    except ValueError:
        with pytest.raises(ValueError, match=r"^add1: "):
            prove_add(**parameters, name="add1")
    else:
        prove_add(**parameters, name="add1")


def test_emulate_float_shifts_first_and_rndnu16_saturates() -> None:
    emulated, sixteen = with_axes(requantize="emulate_float"), with_axes(requantize="rndnu16")
    m, y = np.array([3.9]), qparams(1)
    prove_rescale(np.array([2**29 - 1]), m, contract=emulated, name="conv")
    rescale("Conv", np.array([2**29 - 1]), m, y_qparams=y, contract=emulated)
    with pytest.raises(AccumulatorOverflowError, match="emulate_float"):
        prove_rescale(np.array([2**29]), m, contract=emulated, name="conv")
    prove_rescale(np.array([2**31 - 1]), m, contract=sixteen, name="conv")
    ends = np.array([1 - 2**31, 2**31 - 1])
    codes = rescale("Conv", ends, m, y_qparams=y, contract=sixteen)
    assert codes.tolist() == [-128, 127], "saturated on the way, and by int8 at the end"


@pytest.mark.parametrize(
    ("mode", "multiplier"), [("rndnu", 2.0**-33), ("rndnu16", 256.0), ("pow2", 0.3)]
)
def test_a_multiplier_that_the_mode_does_not_take_is_refused(mode: str, multiplier: float) -> None:
    with pytest.raises(ValueError, match=f"conv: multiplier .*'{mode}', got .*; choose other"):
        prove_rescale(
            np.array([1]), np.array([multiplier]), contract=with_axes(requantize=mode), name="conv"
        )
