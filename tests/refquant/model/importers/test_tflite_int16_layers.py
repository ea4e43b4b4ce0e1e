"""Which contract a layer of int16 activations has, by bias and tool; what LiteRT cannot say."""

from typing import Any

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.importers.tflite import tflite_graph
from refquant.model.loaders.tensors import ModelFileError
from refquant.model.rq import parse_rq, rq_bytes
from tests.refquant.model.importers.tflite_bytes import Model

INT32, INT64 = 2, 4


def layer(op: str, bias: str, *, kind: int = 0, scales: Any = (0.5, 0.25), zero: int = 0,
          value: int = 3, weight: int = 2, y: Any = None) -> bytes:  # fmt: skip
    m, conv = Model(), op != "FULLY_CONNECTED"
    x = m.tensor((1, 1, 1, 2) if conv else (1, 2), "int16", scale=0.5, name="x")
    shape = {"CONV_2D": (2, 1, 1, 2), "DEPTHWISE_CONV_2D": (1, 1, 1, 2)}.get(op, (2, 2))
    w = m.tensor(shape, values=np.full(shape, weight), scale=scales, axis=3 if op[0] == "D" else 0,
                 zero_point=[zero] * len(scales))  # fmt: skip
    ends = [x, w]
    if bias:
        ends.append(m.tensor((2,), bias, values=[value, -value], scale=[0.25, 0.125]))
    made = m.tensor((1, 1, 1, 2) if conv else (1, 2), **(y or {"dtype": "int16", "scale": 0.5}))
    own: dict[str, Any] = {} if op[0] == "D" else {"QuantizedBiasType": kind}
    if conv:
        own |= {"StrideW": 1, "StrideH": 1, "DilationWFactor": 1, "DilationHFactor": 1}
    if op[0] == "D":
        own["DepthMultiplier"] = 1
    m.op(op, ends, [made], **own)
    return m.data([x], [made])


CONTRACTS = {  # (operator, bias, option): contract by xnnpack, by tflite_reference
    ("CONV_2D", "int64", 0): ("tflite_int16", "tflite_int16"),
    ("CONV_2D", "int64", INT64): ("tflite_int16", "tflite_int16"),
    ("CONV_2D", "int32", INT32): ("tflite_builtin", "tflite_reference"),
    ("DEPTHWISE_CONV_2D", "int64", 0): ("tflite_int16", "tflite_int16"),
    ("DEPTHWISE_CONV_2D", "", 0): ("tflite_int16", "tflite_int16"),
    ("FULLY_CONNECTED", "int64", 0): ("tflite_reference_fc", "tflite_reference_fc"),
    ("FULLY_CONNECTED", "int32", INT32): ("tflite_builtin", "tflite_reference_fc"),
    ("FULLY_CONNECTED", "", 0): ("tflite_builtin", "tflite_reference_fc"),
}


@pytest.mark.parametrize("case", CONTRACTS)
def test_who_computes_what(case: tuple[str, str, int]) -> None:
    op, bias, kind = case
    data = layer(op, bias, kind=kind)
    found = [
        {n.contract for n in tflite_graph(data, path="m", contract=tool).nodes} - {None}
        for tool in ("xnnpack", "tflite_reference")
    ]
    assert found == [{name} for name in CONTRACTS[case]], "as measured"


def test_one_product_by_hand() -> None:
    """acc = 2 (x0 + x1) + 3 and 2 (x0 + x1) - 3; times 1/2 and 1/4: ties up, then saturated."""
    g = tflite_graph(layer("CONV_2D", "int64"), path="m")
    x = np.array([[1, 2], [-1, -4], [32767, 32767], [-32768, -32768]], np.int16)
    (y,) = run(g, {"x": x.reshape(4, 1, 1, 2)}).values()
    expected = [[5, 1], [-3, -3], [32767, 32766], [-32768, -32768]]
    assert y.reshape(4, 2).tolist() == expected, "4.5 and -3.5 are ties"


def test_a_bias_beyond_int32_stays_what_it_is() -> None:
    """acc = x0 + x1 + 2^40 and x0 + x1 - 2^40; times 2^-26 and 2^-27: 2^14 and -2^13, ties up."""
    data = layer("CONV_2D", "int64", value=2**40, weight=1, scales=(2.0**-26, 2.0**-27))
    g = tflite_graph(data, path="m")
    (name,) = (n.inputs[2] for n in g.nodes if n.op == "Conv")
    assert g.constants[name].tolist() == [2**40, -(2**40)], "kept"
    assert parse_rq(rq_bytes(g), name="m") == g, "and the file keeps it"
    x = np.array([[32767, 32767], [0, 0], [-32768, -32768]], np.int16)
    (y,) = run(g, {"x": x.reshape(3, 1, 1, 2)}).values()
    assert y.reshape(3, 2).tolist() == [[16384, -8192]] * 3, "inputs are far below a step"


def test_a_code_beyond_int32_is_refused() -> None:
    """LiteRT keeps the lowest 32 bits of what 2^46 / 2 is."""
    with pytest.raises(ModelFileError, match="leaves int32"):
        tflite_graph(layer("CONV_2D", "int64", value=2**46), path="m")


REFUSED: dict[str, tuple[tuple[str, str], dict[str, Any], str]] = {
    "a bias of another kind": (("FULLY_CONNECTED", "int32"), {}, "a bias of int32, which LiteRT"),
    "a depthwise int32 bias": (("DEPTHWISE_CONV_2D", "int32"), {}, "which LiteRT reads"),
    "no bias": (("CONV_2D", ""), {}, "has no bias"),
    "a huge bias": (("CONV_2D", "int64"), {"value": 2**47}, "a bias beyond 48 bits"),
    "the hugest bias": (("CONV_2D", "int64"), {"value": 1 - 2**63}, "a bias beyond 48 bits"),
    "a zero point": (("CONV_2D", "int64"), {"zero": 1}, "zero point that is not 0"),
    "int8 out": (("CONV_2D", "int64"), {"y": {"dtype": "int8", "scale": 1.0}}, "makes int8 of int"),
    "one scale": (("FULLY_CONNECTED", ""), {"scales": (0.5,)}, "a multiplier of its own"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_said(case: str) -> None:
    (op, bias), own, message = REFUSED[case]
    with pytest.raises(ModelFileError, match=message):
        tflite_graph(layer(op, bias, **own), path="m")


def test_sums_that_wrap_in_int32_are_refused() -> None:
    data = layer("FULLY_CONNECTED", "int32", kind=INT32, value=2**31 - 1)
    with pytest.raises(ModelFileError, match="which wrap in LiteRT"):
        tflite_graph(data, path="m", contract="tflite_reference")
