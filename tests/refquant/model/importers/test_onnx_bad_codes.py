"""Scales, zero points and biases that mean nothing: the node that reads them says so."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from refquant.model.execute import run
from refquant.model.importers.onnx_import import OnnxUnsupportedError, import_onnx
from tests.refquant.model.importers.onnx_models import ask_ort, model, node

MS = "com.microsoft"
ONE, ZERO = np.float32(0.5), np.uint8(0)
EACH, NONE = np.ones(4, np.float32), np.zeros(4, np.int8)
NOT_A_SCALE = [(np.nan, "nan"), (np.inf, "inf"), (0.0, "0.0"), (1e-45, "1e-45")]
RULE = "scales are finite, not 0 and not subnormal, got "


def why(made: Any, who: str) -> str:
    """Return why ``made`` is refused, in the one line that names the node ``who``."""
    with pytest.raises(OnnxUnsupportedError) as caught:
        import_onnx(made.SerializeToString())
    _, *lines = str(caught.value).splitlines()
    assert len(lines) == 1, "one node"
    assert lines[0].startswith(f"  {who}: "), lines[0]
    return lines[0].removeprefix(f"  {who}: ")


def pair(scale: Any, zero: Any, other: Any = None) -> Any:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z2"], ["y"]),
    ]
    held: dict[str, Any] = {"s": scale, "z": zero, "z2": zero if other is None else other}
    return model(nodes, {"x": ["N", 3]}, ["y"], held)


@pytest.mark.parametrize(("scale", "said"), NOT_A_SCALE)
def test_a_scale_that_is_none(scale: float, said: str) -> None:
    number = np.float32(scale)
    assert why(pair(number, ZERO), "n_q (QuantizeLinear)") == RULE + said, "of what is computed"
    some = np.array([1, scale, 1, 1], np.float32)
    assert why(layer(some, NONE), "n_wd (DequantizeLinear)") == RULE + said, "of a weight"
    assert why(conv(xs=number), "n_y (QLinearConv)") == RULE + said, "of a QOperator"


def test_codes_that_are_read_as_others() -> None:
    said = why(pair(ONE, ZERO, np.uint8(3)), "n_y (DequantizeLinear)")
    expected = "codes of scale 0.5 and zero point 0 are read as codes of scale 0.5 and zero point 3"
    assert said == expected, "in words, not as an object of Python's"
    said = why(pair(ONE, ZERO, np.int8(0)), "n_y (DequantizeLinear)")
    assert said == "the zero point (input 2) is int8, the codes are uint8", said


def layer(scales: Any, zeros: Any, bias: Any = None, by: Any = None) -> Any:
    """Return a convolution between pairs, with the scales and zero points of its weight."""
    held: dict[str, Any] = {
        "s": ONE, "z": ZERO, "ws": scales, "wz": zeros,
        "w": np.arange(-18, 18, dtype=np.int8).reshape(4, 1, 3, 3),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
    ]
    names = ["d", "wd"]
    if bias is not None:
        held |= {"b": bias, "bs": by}
        nodes.append(node("DequantizeLinear", ["b", "bs"], ["bd"], axis=0))
        names.append("bd")
    nodes += [
        node("Conv", names, ["c"]),
        node("QuantizeLinear", ["c", "s", "z"], ["qo"]),
        node("DequantizeLinear", ["qo", "s", "z"], ["y"]),
    ]
    return model(nodes, {"x": ["N", 1, 6, 6]}, ["y"], held)


def conv(**given: Any) -> Any:
    """Return a QLinearConv with these inputs instead of good ones."""
    held = {
        "xs": ONE, "xz": np.uint8(3), "w": np.arange(-18, 18, dtype=np.int8).reshape(4, 1, 3, 3),
        "ws": EACH, "wz": NONE, "ys": ONE, "yz": ZERO, "b": np.zeros(4, np.int32), **given,
    }  # fmt: skip
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    inputs = {"x": (["N", 1, 6, 6], TensorProto.UINT8)}
    kinds = {"y": TensorProto.UINT8}
    return model([node("QLinearConv", names, ["y"])], inputs, ["y"], held, kinds=kinds)


def test_inputs_of_a_layer_that_do_not_fit() -> None:
    who = "n_y (QLinearConv)"
    import_onnx(conv().SerializeToString())  # those that do
    assert why(conv(xz=np.int8(0)), who) == "the zero point (input 2) is int8, the codes are uint8"
    assert why(conv(wz=np.zeros(3, np.int8)), who) == "zero points [3] for [4]", "zeros, too"
    assert why(conv(ws=np.ones(3, np.float32)), who) == "scales [3] for codes [4, 1, 3, 3]", "three"
    assert why(conv(b=EACH), who) == "the bias (input 8) is int32, got float32", "as ONNX says"


def test_a_bias_of_another_length() -> None:
    import_onnx(layer(EACH, NONE, np.zeros(4, np.int32), EACH * ONE).SerializeToString())
    bent = layer(EACH, NONE, np.zeros(3, np.int32), np.ones(3, np.float32))
    assert why(bent, "n_c (Conv)") == "Conv: the bias has shape [4], got [3]", "ours, not NumPy's"
    bent = layer(EACH, NONE, np.zeros(4, np.int32), EACH * np.float32(np.nan))
    assert why(bent, "n_bd (DequantizeLinear)") == RULE + "nan", "not a bias of NaN"


def test_a_concatenation_of_inputs_of_codes() -> None:
    held: dict[str, Any] = {"s": ONE, "z": np.uint8(3), "so": np.float32(1), "zo": ZERO}
    names = ["so", "zo", "a", "s", "z", "b", "so", "zo"]
    ends = {name: (["N", 2], TensorProto.UINT8) for name in "ab"}
    made = model([node("QLinearConcat", names, ["y"], axis=1, domain=MS)], ends, ["y"], held,
                 domains=(MS,), kinds={"y": TensorProto.UINT8})  # fmt: skip
    codes = {
        "a": np.array([[0, 9], [200, 255]], np.uint8), "b": np.array([[1, 2], [3, 4]], np.uint8),
    }  # fmt: skip
    got = run(import_onnx(made.SerializeToString()), codes)["y"]
    assert got.tolist() == ask_ort(made, codes)[0].tolist(), "the inputs mean what it reads"


@pytest.mark.parametrize(("change", "said"), [
    ({"block_size": 0}, "K, N and block_size are > 0, got 64, 5, 0"),
    ({"K": -64}, "K, N and block_size are > 0, got -64, 5, 32"),
    ({"N": 6}, "6 columns of 2 blocks have as many scales, got 10"),
    ({"K": None}, "MatMulNBits needs the attribute 'K'"),
])  # fmt: skip
def test_blocks_that_are_none(change: Any, said: str) -> None:
    held: dict[str, Any] = {"b": np.ones((5, 2, 16), np.uint8), "s": np.ones(10, np.float32)}
    told = {"K": 64, "N": 5, "block_size": 32}
    whole = {k: v for k, v in {**told, **change}.items() if v is not None}
    made = [
        model([node("MatMulNBits", ["x", "b", "s"], ["y"], domain=MS, **a)], {"x": ["N", 64]},
              ["y"], held, domains=(MS,)) for a in (told, whole)
    ]  # fmt: skip
    import_onnx(made[0].SerializeToString())  # 4 bits, where nothing is said
    assert why(made[1], "n_y (MatMulNBits)") == said, "the rule, not NumPy's trouble with it"
