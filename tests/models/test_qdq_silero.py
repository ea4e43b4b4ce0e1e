"""Silero VAD by onnxruntime's quantizers: codes are ours, static and dynamic, the LSTM's too.

`make models` fetches both models and the recordings.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.quantization import QuantType, quantize_dynamic

from refquant.contracts import preset
from refquant.model.execute import run
from refquant.model.execute_node import execute_node
from refquant.model.importers.onnx_import import import_onnx
from refquant.ops.quantize_linear import dynamic_quantize_linear
from tests.models.qdq import (
    ASSETS,
    FORMS,
    Pairs,
    asked,
    check_codes,
    check_floats,
    check_list,
    in_pairs,
    pairs_of,
    plain,
    reasons,
)
from tests.models.test_int8_silero import CALIBRATION, FRAMES, exact

pytestmark = pytest.mark.models

POW = {
    "Pow needs reals: Pow has no form on codes": 2,
    "its input is the float32 output of Mul": 2,
}
KEPT = {
    "sequence": {
        **POW,
        "LSTM needs reals: LSTM has no form on codes": 1,
        "its input is the float32 output of Transpose": 1,
    },
    "half": {  # two branches read Conv and Sigmoid without a pair
        **POW,
        "Conv needs reals: its reals are read 2 times": 1,
        "its input is the float32 output of Conv": 1,
        "its input is the float32 output of Unsqueeze": 2,
        "its input is the float32 output of Relu": 1,
        "Sigmoid needs reals: its reals are read 2 times": 1,
        "its input is the float32 output of Sigmoid": 1,
    },
}
TENSORS = {"sequence": 13, "half": 14}


@cache
def inputs(name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What calls read: to calibrate, and to compare."""
    calls = exact(CALIBRATION)[0]
    if name == "sequence":
        return calls[:3], calls[4]
    session = onnxruntime.InferenceSession(ASSETS / "silero_vad/silero_vad_half.onnx")
    state, found = np.zeros((2, 1, 128), np.float32), []
    for frame in np.concatenate([call["input"] for call in calls])[:60]:
        found.append({"input": frame[None], "state": state})
        state = session.run(["stateN"], found[-1])[0]
    return found[20:24], found[50]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("silero")


@cache
def pairs(name: str, form: str, folder: Path) -> Pairs:
    here = folder / f"{name}_{form}"
    here.mkdir()
    file = {"sequence": "silero_vad_16k_sequence", "half": "silero_vad_half"}[name]
    path = plain(ASSETS / f"silero_vad/{file}.onnx", here, opset=16)
    calibration, test = inputs(name)
    return in_pairs(path, here, form, calibration, test)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", TENSORS)
def test_its_codes_are_ours(name: str, form: str, folder: Path) -> None:
    check_codes(pairs(name, form, folder), {}, tensors=TENSORS[name], rounded={"Conv"})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", TENSORS)
def test_what_stays_in_float32_is_near_and_listed(name: str, form: str, folder: Path) -> None:
    p = pairs(name, form, folder)
    # A step is a sum of 257 products; its errors add up over the steps (near.py). Between the LSTM
    # and the first output that has a name in the file is what moves it.
    steps = FRAMES if name == "sequence" else 1
    lstm = steps * (2 * 257) ** 0.5 * 2.0**-24
    near = {"Transpose": lstm, "Unsqueeze": lstm, "Squeeze": lstm, "Sigmoid": 4 * 2.0**-24}
    other = check_floats(p, relative=near)
    assert other <= {*near, "Conv"}, f"{other}"
    check_list(p, dead=2 if name == "half" else 0)
    assert reasons(p) == KEPT[name], f"{reasons(p)}"


@cache
def dynamic(name: str, per_channel: bool, folder: Path) -> Pairs:
    """What onnxruntime's dynamic quantizer makes: ranges of each call, an LSTM of codes."""
    here = folder / f"dynamic_{name}_{per_channel}"
    here.mkdir()
    file = {"sequence": "silero_vad_16k_sequence", "half": "silero_vad_half"}[name]
    path = plain(ASSETS / f"silero_vad/{file}.onnx", here, opset=16)
    quantize_dynamic(
        path, here / "dynamic.onnx", weight_type=QuantType.QInt8, per_channel=per_channel,
        op_types_to_quantize=["Conv", "LSTM"],
    )  # fmt: skip
    return pairs_of(onnx.load(here / "dynamic.onnx"), inputs(name)[1])


@pytest.mark.parametrize("optimized", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("name", TENSORS)
def test_dynamic_codes_scales_and_products_are_ours(
    name: str, per_channel: bool, optimized: bool, folder: Path
) -> None:
    """Layer by layer, from onnxruntime's inputs: codes, scales, zero points, products, all bits."""
    p = dynamic(name, per_channel, folder)
    theirs, compared = asked(p, optimized=optimized), dict[str, int]()
    arrays = {**p.graph.constants, **theirs}
    for each in p.graph.nodes:
        operands = [arrays[n] if n else None for n in each.inputs]
        for made, array in zip(each.outputs, execute_node(p.graph, each, operands), strict=True):
            if made in theirs and each.op in ("DynamicQuantizeLinear", "ConvIntegerToFloat"):
                assert np.array_equal(array, theirs[made]), f"{each.op} {made}"
                compared[each.op] = compared.get(each.op, 0) + 1
            arrays.setdefault(made, array)
    counts = {"DynamicQuantizeLinear": 18, "ConvIntegerToFloat": 6}
    assert compared == counts, f"{compared}"


@pytest.mark.parametrize("per_channel", [False, True])
def test_the_states_of_its_dynamic_lstm_have_our_codes(per_channel: bool, folder: Path) -> None:
    """The codes of each state, which the next step multiplies, from onnxruntime's input."""
    p = dynamic("sequence", per_channel, folder)
    (lstm,) = [n for n in p.model.graph.node if n.op_type == "DynamicQuantizeLSTM"]
    held = {t.name: t for t in p.model.graph.initializer}
    model = type(p.model)()
    model.CopyFrom(p.model)
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(lstm.input[0]))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    x = session.run([lstm.input[0]], dict(p.feeds))[0]
    ends = {lstm.input[0]: x} | {
        n: np.zeros((1, x.shape[1], 128), np.float32)
        for n in lstm.input[5:7]
        if n and n not in held
    }
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [lstm], "lstm", [value(n, 1, a.shape) for n, a in ends.items()],
        [value(n, 1, None) for n in lstm.output if n], [held[n] for n in lstm.input if n in held],
    )  # fmt: skip
    alone = onnx.helper.make_model(graph, opset_imports=p.model.opset_import, ir_version=8)
    names = [n for n in lstm.output if n]
    theirs = onnxruntime.InferenceSession(alone.SerializeToString()).run(names, ends)
    ours = run(import_onnx(alone.SerializeToString()), ends)
    steps = theirs[0].shape[0]
    for t in range(steps):
        states = (np.reshape(a[t], -1).astype(np.float32) for a in (ours[names[0]], theirs[0]))
        mine, other = (dynamic_quantize_linear(h, preset("ort"))[0] for h in states)
        assert np.array_equal(mine, other), f"step {t}: the codes of the next product"
    assert steps == len(p.feeds["input"]), f"{steps} frames"
