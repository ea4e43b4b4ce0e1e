"""Float results in ONNX: how weights are packed, and what onnxruntime computes of them."""

import numpy as np
import pytest

from refquant_conformance.adapters.onnx_cases import model_of
from refquant_conformance.adapters.onnx_floats import FLOATS
from refquant_conformance.adapters.onnxruntime import OnnxRuntime
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic.matmul_nbits import nbits_case
from refquant_conformance.arithmetic.recurrent import recurrent_case


@pytest.mark.parametrize("op", FLOATS)
def test_onnxruntime_computes_every_sample(op: str) -> None:
    (scheme,) = ["f32_u4"] if op == "matmul_nbits" else ["f32"]
    outputs = OnnxRuntime().run(sample(op, scheme)).outputs
    assert all(np.isfinite(array).all() for array in outputs.values()), f"{outputs}"


def test_codes_are_packed_by_columns_two_a_byte_and_blocks_are_filled_up() -> None:
    b = np.array([[1, 9], [2, 10], [3, 11]])
    case = nbits_case(np.ones((1, 3)), b, np.ones((1, 2)), np.array([[5, 6]]), 16)
    held = {name: array for name, (_, array) in model_of(case, style="direct").constants.items()}
    assert held["packed"].shape == (2, 1, 8), f"{held['packed'].shape}"
    assert held["packed"][:, 0, :3].tolist() == [[0x21, 0x03, 0], [0xA9, 0x0B, 0]], "low bits first"
    assert held["points"].tolist() == [[5], [6]], "a whole byte a column"
    assert held["scales"].shape == (2, 1), "columns first"


def test_a_sequence_is_turned_so_that_steps_come_first() -> None:
    nodes = model_of(recurrent_case("lstm", (2, 3, 4, 5), 0), style="direct").nodes
    assert [node.op for node in nodes][:2] == ["Transpose", "LSTM"], f"{nodes}"
    assert nodes[1].inputs[5:] == ("h_before", "c_before"), f"{nodes[1].inputs}"
    (gru,) = (
        node
        for node in model_of(recurrent_case("gru", (2, 3, 4, 5), 0, late=1), style="direct").nodes
        if node.op == "GRU"
    )
    assert gru.attributes["linear_before_reset"] == 1, f"{gru.attributes}"
