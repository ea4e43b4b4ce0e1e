"""One operator as a model file: the reference executes it to what the arithmetic computes."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.execute import run
from refquant_conformance.adapters.rq_graphs import feeds_of, graph_of
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic.wide_matmul import WIDE_MATMUL
from refquant_conformance.protocol import Unsupported

CELLS = [
    ("quantize_linear", "f32_u8"),
    ("dequantize_linear", "i8_f32"),
    ("dynamic_quantize_linear", "f32_u8"),
    ("matmul_integer", "u8_i8"),
    ("qlinear_matmul", "u8_i8_channel"),
    ("qlinear_conv", "i8_i8"),
    ("qlinear_add", "u8"),
    ("qlinear_average_pool", "i8"),
    ("qlinear_softmax", "u8"),
    ("qlinear_leaky_relu", "i8"),
]


@pytest.mark.parametrize(("op", "scheme"), CELLS)
def test_a_case_becomes_a_graph_that_runs(op: str, scheme: str) -> None:
    case = sample(op, scheme)
    graph = graph_of(case, preset("ort"))
    outputs = run(graph, feeds_of(case))
    assert set(graph.outputs) == set(outputs), f"{graph.outputs}"
    assert np.asarray(outputs[graph.outputs[0]]).size, "nothing was computed"


def test_weights_are_constants_and_activations_are_fed() -> None:
    case = sample("qlinear_matmul", "u8_i8")
    assert set(feeds_of(case)) == {"a"}, f"{set(feeds_of(case))}"
    assert set(feeds_of(sample("qlinear_add", "u8"))) == {"a", "b"}, "both are activations"


@pytest.mark.parametrize("scheme", ["f32_u8_channel", "f16_u8"])
def test_what_a_file_cannot_say_is_unsupported(scheme: str) -> None:
    with pytest.raises(Unsupported):
        graph_of(sample("quantize_linear", scheme), preset("ort"))


@pytest.mark.parametrize("name", ["tflite_int16", "tflite_reference_fc"])
def test_sums_of_16_bit_codes_are_those_of_the_arithmetic(name: str) -> None:
    contract = preset(name)
    for case in WIDE_MATMUL.probes("i16_i8"):
        (y,) = run(graph_of(case, contract), feeds_of(case)).values()
        wanted = WIDE_MATMUL.compute(case, {"requantize": contract.requantize})
        assert wanted is not None, "refused"
        assert np.array_equal(y, wanted["y"]), f"{name}: a file computes other codes"
