"""The stages: every case has a row, and a row is what the reference computes for the case."""

import numpy as np
import pytest

from refquant.atlas.stages import REFUSED, STAGES, int8_codes
from refquant.contracts import PRESETS, preset
from refquant_conformance.oracle import add_exact, quantize_exact, requantize_exact


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", PRESETS)
def test_every_case_has_a_row(stage: str, name: str) -> None:
    rows = STAGES[stage].rows(preset(name))
    if rows is not None:
        count = len(STAGES[stage].cases())
        assert rows.shape[0] == count, f"{stage}, {name}: {rows.shape[0]} rows of {count} cases"
        assert rows.dtype == np.int64, f"{stage}, {name}: {rows.dtype}"


@pytest.mark.parametrize("name", ["onnx", "ort", "xnnpack", "tflite_reference"])
def test_special_rows_are_the_oracles(name: str) -> None:
    axes = preset(name).to_json()
    rows = STAGES["special"].rows(preset(name))
    assert rows is not None, f"{name} quantizes"
    for case, row in zip(STAGES["special"].cases(), rows, strict=True):
        exact = quantize_exact(
            case["x"], scale=case["scale"], zero_point=case["zero_point"], qmin=-128, qmax=127,
            axes=axes,
        )  # fmt: skip
        assert int(row[0]) == exact, f"{name}: {case}: {row[0]}, the oracle says {exact}"


@pytest.mark.parametrize("name", ["ort", "tflite_reference", "tflite_builtin", "xnnpack"])
def test_requantize_rows_are_the_oracles(name: str) -> None:
    contract = preset(name)
    rows = STAGES["requantize"].rows(contract)
    assert rows is not None, f"{name} requantizes"
    cases = STAGES["requantize"].cases()
    for index in [*range(0, len(cases), 499), *range(20)]:
        case, row = cases[index], rows[index]
        if row[0] == REFUSED or not -(2**31) <= case["accumulator"] < 2**31:
            continue
        exact = case["zero_point"] + requantize_exact(
            case["accumulator"], case["multiplier"], mode=contract.requantize
        )
        exact = min(max(exact, -128), 127)
        assert int(row[0]) == exact, f"{name}: {case}: {row[0]}, the oracle says {exact}"


def test_a_contract_that_refuses_nan_is_refused_there_and_nowhere_else() -> None:
    from dataclasses import replace

    strict = replace(preset("onnx"), name="strict", nan="error")
    x = np.array([1.0, np.nan, 2.0], np.float32)
    codes = int8_codes(x, scale=1.0, zero_point=0, contract=strict)
    assert codes.tolist() == [1, REFUSED, 2], f"{codes}"
    rows = STAGES["special"].rows(strict)
    assert rows is not None, "it quantizes"
    refused = [bool(np.isnan(case["x"])) for case in STAGES["special"].cases()]
    assert (rows[:, 0] == REFUSED).tolist() == refused, "only NaN is refused"


def test_words_show_a_refusal_and_a_scale() -> None:
    assert STAGES["special"].words(np.array([REFUSED])) is None, "a refusal has no code"
    one = int(np.float32(1).view(np.int32))
    shown = STAGES["parameters"].words(np.array([one, -3, -128]))
    assert shown == {"scale": 1.0, "zero_point": -3, "qmin": -128}, f"{shown}"


def test_add_rows_of_onnx_are_the_oracles() -> None:
    contract = preset("onnx")
    rows = STAGES["add"].rows(contract)
    assert rows is not None, "onnx adds"
    cases = STAGES["add"].cases()
    for index in range(0, len(cases), 997):
        case = cases[index]
        exact = add_exact(
            case["a"], case["b"], scales=tuple(case["scales"]),
            zero_points=(case["zero_point"],) * 3, qmin=-128, qmax=127, axes=contract.to_json(),
        )  # fmt: skip
        assert int(rows[index, 0]) == exact, f"{case}: {rows[index, 0]}, the oracle says {exact}"
