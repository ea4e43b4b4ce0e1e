"""Bias codes against exact fractions; what happens at the edge of int32."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.contracts import preset
from refquant.formats.affine import QParams
from refquant.model.build import Builder
from refquant.model.graph import Graph
from refquant.model.quantize import quantize
from refquant.model.quantize_product import add_product, bias_codes, fit_bias
from refquant.model.recipe import Activations, Recipe, Weights
from refquant.model.validate import GraphError
from tests.refquant.model.literals import f32, f64, i32

F32 = np.float32
scales = st.floats(2.0**-20, 2.0**4, width=32)


@given(st.floats(-4, 4, width=32), scales, scales)
def test_a_bias_is_the_nearest_integer(bias: float, sx: float, sw: float) -> None:
    unit = float(F32(sx)) * float(F32(sw))  # exact: 24 bits by 24 bits
    exact = Fraction(bias) / Fraction(unit)
    if abs(exact) > 2**31 - 2:
        return
    code = int(bias_codes(np.array([bias], F32), f64(unit))[0])
    # One rounding of the quotient (2^-53 relative), then to the nearest integer.
    slack = abs(exact) / 2**53
    assert abs(code - exact) <= Fraction(1, 2) + slack, f"{bias} / {unit} is not {code}"


def test_ties_go_to_the_even_code() -> None:
    assert bias_codes(f32([0.5, 1.5, 2.5, -0.5, -1.5]), f64(1)).tolist() == [0, 2, 2, 0, -2]


def test_a_bias_beyond_int32_is_refused() -> None:
    assert bias_codes(f32([1.0]), f64(1 / (2**31 - 1))).tolist() == [2**31 - 1]
    with pytest.raises(ValueError, match=r"at most 2\^31 - 1 units of .*coarser scale"):
        bias_codes(f32([1.0]), f64(2.0**-31))


@pytest.mark.parametrize("bias", [3e38, np.nan, np.inf])
def test_a_bias_that_no_scale_holds_is_refused_by_name(bias: float) -> None:
    b = Builder("g")
    names = [b.constant("w", f32([[1], [1]])), b.constant("offset", f32([bias]))]
    g = b.graph([b.node("Gemm", [b.input("x", ("N", 2)), *names], name="fc")])
    x = QParams(F32(2.0**-60), np.int32(0), None, "int8")
    with pytest.raises(ValueError, match="node 'fc', bias 'offset': the bias must be finite and"):
        add_product(
            Builder("h"), g, g.nodes[0], x="x", x_qparams=x, rules=Weights(), contract=preset("ort")
        )


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=5), scales, st.booleans())
def test_after_fitting_every_bias_takes_at_most_half(
    bias: list[float], sx: float, per_channel: bool
) -> None:
    n, b = len(bias), np.array(bias, F32)
    tiny = F32(2.0**-60)
    if per_channel:
        p = QParams(np.full((1, n), tiny), np.zeros((1, n), np.int32), (3, 1), "int8")
    else:
        p = QParams(tiny, np.int32(0), None, "int8")
    fitted = fit_bias(p, b, x_scale=F32(sx), axis=1)
    codes = bias_codes(b, f64(sx) * np.asarray(fitted.scale, np.float64).reshape(-1))
    # The scale is rounded to float32 once: half a unit of 2^-23.
    assert np.abs(codes).max() <= 2**30 * (1 + 2.0**-24) + 1, codes
    assert (np.asarray(fitted.scale) >= tiny).all(), "a scale never shrinks"


def test_scales_that_suffice_stay() -> None:
    p = QParams(f32([[0.5], [0.25]]), i32([[0], [0]]), (1, 3), "int8", True)
    assert fit_bias(p, f32([9, -9]), x_scale=F32(0.1), axis=0) == p


def _dense(w: Any, bias: Any, *, op: str = "Gemm") -> Graph:
    b = Builder("g")
    x = b.input("x", ("N", len(w)))
    return b.graph(
        [b.node(op, [x, b.constant("w", f32(w)), b.constant("b", f32(bias))], name="dense")]
    )


def _static(granularity: str, contract: str = "ort") -> Recipe:
    return Recipe("r", "static", contract, Activations(), Weights(granularity=granularity))


@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
def test_the_file_records_the_biases_unit(granularity: str) -> None:
    x = {"x": f32([[1, -1]])}
    g = quantize(_dense([[1, 2], [3, 4]], [0.5, -0.5]), _static(granularity), x)
    weight, bias = g.values["w"].quant, g.values["b"].quant
    x_quant = g.values["x/codes"].quant
    assert weight is not None, "weights have codes"
    assert bias is not None, "biases have codes"
    assert x_quant is not None, "inputs have codes"
    assert (bias.zero_point, g.values["b"].dtype) == (0, "int32"), bias
    sx = F32(x_quant.scale)
    if granularity == "per_tensor":
        assert bias.scale == float(sx * F32(weight.scale)), "sx * sw, rounded once"
        return
    sw = g.constants[str(weight.scale)].reshape(-1)
    assert bias.scale == "b/scale", bias
    assert g.constants["b/scale"].tolist() == (sx * sw).tolist(), "sx * sw, rounded once"


def test_a_tiny_weight_beside_a_large_bias() -> None:
    graph = _dense([[1e-12, 1.0], [0.0, 1.0]], [1000.0, 0.0])
    g = quantize(graph, _static("per_channel"), {"x": f32([[1, 1]])})
    assert abs(int(g.constants["b"][0])) <= 2**30 + 64, "the scale was enlarged for the bias"
    scale = g.constants["b/scale"][0]
    assert float(scale) * int(g.constants["b"][0]) == pytest.approx(1000, rel=2**-23), (
        "one unit of the scale's float32"
    )
    assert g.constants["w"][:, 0].tolist() == [0, 0], "beside it the weight is nothing"
    assert g.constants["w"][:, 1].tolist() == [127, 127], "the other channel is as ever"


def test_a_sum_that_could_leave_int32_is_an_error_at_build_time() -> None:
    w = np.ones((70_000, 1), F32)
    message = r"node 'dense' \(Gemm\): dense: the int32 accumulator of output channel 0 can reach"
    with pytest.raises(GraphError, match=message):
        quantize(_dense(w, [0.0]), _static("per_tensor"), {"x": np.ones((1, 70_000), F32)})


def test_shared_weights_are_stored_once_and_biases_for_each_reader() -> None:
    b = Builder("g")
    w, bias = b.constant("w", np.eye(2, dtype=F32)), b.constant("b", f32([1, 2]))
    h = b.node("Gemm", [b.input("x", ("N", 2)), w, bias], name="first")
    g = b.graph([b.node("Gemm", [h, w, bias], name="second")])
    q = quantize(g, _static("per_channel"), {"x": f32([[1, -3]])})
    assert [n.inputs[1] for n in q.nodes if n.op == "Gemm"] == ["w", "w"], "the same codes"
    assert [n.inputs[2] for n in q.nodes if n.op == "Gemm"] == ["b", "b/second"], "other units"
    assert preset("ort").name in q.contracts, "and one contract"
