"""The reference as a backend: every cell that has an arithmetic, by the preset it declares."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant_conformance.adapters.reference import Reference
from refquant_conformance.adapters.reference_methods import METHODS
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic import ARITHMETICS, arithmetic_of
from refquant_conformance.protocol import Case, Unsupported


def test_it_lists_what_has_an_arithmetic_and_computes_it() -> None:
    backend = Reference("onnx")
    listed = [cell for cell in backend.capabilities() if cell.op not in ("load", *METHODS)]
    assert {(c.op, c.scheme) for c in listed} == {
        (a.op, scheme) for a in ARITHMETICS for scheme in a.schemes
    }, "a cell without an arithmetic, or one that is not listed"
    for cell in listed:
        case = sample(cell.op, cell.scheme)
        arithmetic = arithmetic_of(cell.op, cell.scheme)
        assert arithmetic is not None, f"{cell} has no arithmetic"
        wanted = arithmetic.compute(case, backend.axes(arithmetic))
        assert wanted is not None, f"{cell}: a harmless case is refused"
        for name, array in backend.run(case).outputs.items():
            assert array.tobytes() == wanted[name].tobytes(), f"{cell}: {name}"


@pytest.mark.parametrize("name", ["onnx", "torch", "tflite_reference"])
def test_it_declares_the_axes_of_its_preset(name: str) -> None:
    declared = Reference(name).declared("quantize_linear")
    assert declared is not None, "nothing is declared"
    for axis in ("rounding", "scale_op", "nan"):
        assert declared[axis] == getattr(preset(name), axis), f"{name}: {axis}"


def test_what_it_has_not_is_said() -> None:
    with pytest.raises(ValueError, match="no preset 'nobody'; there are onnx"):
        Reference("nobody")
    with pytest.raises(Unsupported, match="no arithmetic for nop f32_u8"):
        Reference("onnx").run(Case("nop", "f32_u8", {}))


def test_sums_of_48_bits_are_saved_with_the_rule_they_are_computed_by() -> None:
    arithmetic = arithmetic_of("wide_matmul", "i16_i8")
    assert arithmetic is not None, "it has one"
    for setting in ("onnx", "tflite_int16", "torch"):
        backend = Reference(setting)
        for case in arithmetic.probes("i16_i8"):
            first, again = backend.run(case), backend.reload(case).run(case)
            same = np.array_equal(first.outputs["y"], again.outputs["y"])
            assert same, f"{setting} computes another y after it was saved: {case}"
