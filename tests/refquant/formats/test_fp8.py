"""FP8 with scales: float32 arithmetic on fractions, every granularity, ONNX's saturation table."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.formats.fp8 import (
    CARDS,
    FP8_FORMATS,
    ScaledFloat,
    choose_scale,
    dequantize,
    quantize,
    quantize_linear,
)
from refquant.numerics.blocks import per_channel, per_group, per_tensor, per_token
from refquant.numerics.minifloat import encode
from refquant.numerics.minifloat_formats import FLOAT_FORMATS
from refquant_conformance.rational import divide, multiply
from tests.refquant.formats.block_oracles import blocks, magnitudes, nearest

Array = np.ndarray[Any, Any]
TOP = {"e4m3fn": 448.0, "e5m2": 57344.0, "e4m3fnuz": 240.0, "e5m2fnuz": 57344.0}
BLOCKS = {
    "tensor": per_tensor((6, 40)),
    "channel": per_channel((6, 40), 0),
    "token": per_token((6, 40)),
    "group": per_group((6, 40), -1, 16),
    "tile": (4, 16),  # as 128 x 128, in small; the last ones are short
}


@pytest.mark.parametrize("name", ["e4m3fn", "e5m2"])
@pytest.mark.parametrize("scale_op", ["divide_f32", "reciprocal_f32"])
@pytest.mark.parametrize("how", BLOCKS)
def test_codes_and_scales_are_those_of_float32_arithmetic(
    name: str, scale_op: str, how: str
) -> None:
    x = np.concatenate(list(blocks(16, seed=11, count=8)))[: 6 * 40].reshape(6, 40)
    rows, columns = BLOCKS[how]
    q = quantize(x, format=name, block_shape=BLOCKS[how], scale_op=scale_op)
    back = dequantize(q)
    for i in range(6):
        for j in range(40):
            at = i // rows, j // columns
            part = x[at[0] * rows : (at[0] + 1) * rows, at[1] * columns : (at[1] + 1) * columns]
            s = divide(float(np.abs(part).max()), TOP[name]) or 1.0
            assert float(q.scale[at]) == s, f"{name}, {how}: scale {at}"
            v = float(x[i, j])
            y = divide(v, s) if scale_op == "divide_f32" else multiply(v, divide(1.0, s))
            code = nearest(Fraction(y), name)
            sign = 128 if np.signbit(x[i, j]) else 0
            assert int(q.codes[i, j]) == code + sign, f"{name}, {how}: {v} / {s}"
            size = multiply(float(magnitudes(name)[code]), s)
            assert abs(float(back[i, j])) == size, f"{name}, {how}: real of {v}"


@pytest.mark.parametrize("name", FP8_FORMATS)
def test_the_largest_magnitude_has_the_largest_code_for_every_significand(name: str) -> None:
    """The claim of the module: x / s exceeds M by rounding only, never by half a step."""
    bits = np.arange(0, 1 << 23, 7, dtype=np.uint32) | np.uint32(130 << 23)
    x = bits.view(np.float32)[:, None]
    q = quantize(x, format=name, block_shape=(1, 1), overflow="nan")
    assert (q.codes == FLOAT_FORMATS[name].max_code).all(), f"{name}: not the largest code"


@pytest.mark.parametrize("name", FP8_FORMATS)
def test_static_scales_follow_the_policies_of_the_format(name: str) -> None:
    x = np.array([np.inf, -np.inf, np.nan, 1e30, 1.0, -0.0], np.float32)
    two = np.full(1, 2.0, np.float32)
    for overflow in ("saturate", "nan"):
        q = quantize(x, format=name, block_shape=(6,), scale=two, overflow=overflow)
        want = encode(x / np.float32(2), FLOAT_FORMATS[name], overflow=overflow)
        assert q.codes.tolist() == want.tolist(), f"{name}, {overflow}"
        assert q.scale.tolist() == [2.0], "a static scale is kept"


def test_zero_blocks_and_denormal_blocks() -> None:
    x = np.array([[0.0, -0.0], [2.0**-149, 0.0]], np.float32)
    q = quantize(x, format="e4m3fn", block_shape=(1, 2))
    assert q.scale.tolist() == [[1.0], [1.0]], "amax / 448 is 0 for both"
    assert dequantize(q).tolist() == [[0.0, 0.0], [0.0, 0.0]], "and the values are gone"
    eps = choose_scale(x, format="e4m3fn", block_shape=(1, 2), zero_scale=2.0**-23)
    assert eps.tolist() == [[2.0**-23], [2.0**-23]], "as compressed-tensors has it"
    empty = quantize(np.zeros((0, 4), np.float32), format="e5m2", block_shape=(1, 4))
    assert dequantize(empty).shape == (0, 4), "an empty tensor"


# ONNX, "Float stored in 8 bits": what becomes of numbers beyond the largest and of infinities.
SATURATION = {  # (format, saturate): (1e6, -1e6, inf, -inf, NaN)
    ("e4m3fn", True): [448, -448, 448, -448, np.nan],
    ("e4m3fnuz", True): [240, -240, np.nan, np.nan, np.nan],
    ("e5m2", True): [57344, -57344, 57344, -57344, np.nan],
    ("e5m2fnuz", True): [57344, -57344, np.nan, np.nan, np.nan],
    ("e4m3fn", False): [np.nan, np.nan, np.nan, np.nan, np.nan],
    ("e4m3fnuz", False): [np.nan, np.nan, np.nan, np.nan, np.nan],
    ("e5m2", False): [np.inf, -np.inf, np.inf, -np.inf, np.nan],
    ("e5m2fnuz", False): [np.nan, np.nan, np.nan, np.nan, np.nan],
    ("e2m1", True): [6, -6, 6, -6, 6],
}


@pytest.mark.parametrize(("name", "saturate"), SATURATION)
def test_quantize_linear_saturates_as_the_table_of_onnx(name: str, saturate: bool) -> None:
    x = np.array([1e6, -1e6, np.inf, -np.inf, np.nan], np.float32)
    one = np.ones(1, np.float32)
    q = quantize_linear(x, one, format=name, block_shape=(5,), saturate=saturate)
    want = np.array(SATURATION[name, saturate], np.float32)
    assert np.array_equal(dequantize(q), want, equal_nan=True), f"{name}: {dequantize(q)}"


def test_the_zero_point_of_onnx_makes_plus_zero_of_minus_zero_and_onnxruntime_does_not() -> None:
    x, one = np.array([-0.0, -1e-9], np.float32), np.ones(1, np.float32)
    got = quantize_linear(x, one, format="e4m3fn", block_shape=(2,)).codes.tolist()
    assert got == [0x00, 0x80], "-0 + 0 is +0; a tiny negative number still rounds to -0"
    onnxruntime, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    make = onnx.helper
    graph = make.make_graph(
        [make.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
         make.make_node("DequantizeLinear", ["q", "s"], ["y"])],
        "g",
        [make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2])],
        [make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2])],
        [make.make_tensor("s", onnx.TensorProto.FLOAT, [], [1.0]),
         make.make_tensor("z", onnx.TensorProto.FLOAT8E4M3FN, [], [0])],
    )  # fmt: skip
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 23)], ir_version=11)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    theirs = np.signbit(session.run(None, {"x": x})[0]).tolist()
    assert theirs == [True, True], "ONNXRUNTIME_KEEPS_MINUS_ZERO is gone: drop this entry"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "e2m1"}, "format must be one of"),
        ({"scale_op": "multiply"}, "scale_op must be one of"),
        ({"scale": np.ones(2, np.float32)}, r"scale must be float32 of shape \(1,\)"),
        ({"scale": np.zeros(1, np.float32)}, "scale must be finite and positive"),
        ({"x": np.full(4, np.inf, np.float32)}, "x must be finite to choose a scale"),
        ({"zero_scale": 0.0}, "zero_scale must be finite and positive"),
        ({"block_shape": (2, 2)}, "block_shape must have 1 sizes"),
        ({"x": np.zeros(4)}, "x must be float32"),
    ],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    kw: dict[str, Any] = {"x": np.zeros(4, np.float32), "format": "e4m3fn", "block_shape": (4,),
                          **change}  # fmt: skip
    with pytest.raises(ValueError, match=message):
        quantize(kw.pop("x"), **kw)


def test_what_onnx_does_not_have_is_refused() -> None:
    one = np.ones(1, np.float32)
    with pytest.raises(ValueError, match="saturate must be True for e2m1"):
        quantize_linear(one, one, format="e2m1", block_shape=(1,), saturate=False)
    with pytest.raises(ValueError, match="format must be one of"):
        dequantize(ScaledFloat("e3m2", np.zeros(1, np.uint8), one, (1,)))


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_cards_explain_what_quantize_does(card: Any) -> None:
    name = {"fp8": "e4m3fn", "fp8_e5m2": "e5m2"}[card.name]
    x = np.array([3.3, -0.7, 1.375, 0.0], np.float32)
    back = dequantize(quantize(x, format=name, block_shape=(4,)))
    shown = [np.float32(step.result.split(" ")[0]) for step in card.explain(x)[-4:]]
    assert shown == back.tolist(), f"{card.name}: {shown}"
    assert card.explain(np.zeros(2, np.float32)), "a tensor of zeros"
