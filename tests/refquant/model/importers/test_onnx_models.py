"""Real ONNX models against onnxruntime, and what their import says of them.

How near two engines come: `tests.refquant.model.loaders.near`. `terms` is the longest sum.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnxruntime.quantization import QuantFormat, QuantType
from onnxruntime.quantization.shape_inference import quant_pre_process

from refquant.model.execute import run
from refquant.model.importers.onnx_import import import_onnx
from tests.refquant.model.importers.onnx_models import ask_ort
from tests.refquant.model.importers.test_onnx_qdq import layer_by_layer, quantized, with_codes

pytestmark = pytest.mark.models
ASSETS = Path(__file__).parents[4] / "assets"
TOKENS = ("input_ids", "attention_mask", "token_type_ids")

# file -> sizes, inputs made constants, the longest sum of products
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "open_nsfw/open_nsfw.onnx": ({}, {}, 4608),
    "rapidocr/ch_ppocr_mobile_v2.0_cls_infer.onnx": ({"x": ["N", 3, 48, 192]}, {}, 800),
    "rapidocr/ch_PP-OCRv4_rec_infer.onnx": ({"x": ["N", 3, 48, 160]}, {}, 5000),
    "rapidocr/ch_PP-OCRv4_det_infer.onnx": ({"x": ["N", 3, 64, 96]}, {}, 1600),
    "silero_vad/silero_vad_16k_sequence.onnx": ({"input": [9, 576]}, {}, 768),
    "silero_vad/silero_vad.onnx": (
        {"input": [1, 576], "state": [2, 1, 128]}, {"sr": np.array(16000)}, 768
    ),
    "minilm_int8/model.onnx": ({name: [2, 11] for name in TOKENS}, {}, 1536),
}  # fmt: skip


def inputs_of(graph: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    sizes = {"N": 2, "T": 7}
    result = {}
    for name in graph.inputs:
        value = graph.values[name]
        shape = [sizes[d] if isinstance(d, str) else d for d in value.shape]
        if value.dtype == "int32":
            result[name] = rng.integers(1 if "mask" in name else 0, 2, shape).astype(np.int32)
        else:
            result[name] = rng.normal(size=shape).astype(np.float32)
    return result


@pytest.mark.parametrize("file", MODELS)
def test_a_real_model_is_near_onnxruntime(file: str) -> None:
    shapes, fixed, terms = MODELS[file]
    graph = import_onnx(ASSETS / file, shapes=shapes, fixed=fixed)
    x = inputs_of(graph)
    ours = run(graph, x, sums="blas")
    wide = {n: a.astype(np.int64) if a.dtype == np.int32 else a for n, a in x.items()}
    theirs = ask_ort(str(ASSETS / file), {**wide, **fixed}, outputs=list(graph.outputs))
    # As `near.agree`; Erf as there, where there is one.
    erfs = sum(node.op in ("Gelu", "Erf") for node in graph.nodes)
    relative = len(graph.nodes) * (2 * terms) ** 0.5 * 2.0**-24 + erfs * 6.7e-7
    for name, array in zip(graph.outputs, theirs, strict=True):
        maker = next(n for n in graph.nodes if name in n.outputs)
        size = float(np.abs(array).max())
        if maker.op == "Sigmoid":  # its slope is at most 1/4, whatever the size of what it gives
            before = run(graph, x, sums="blas", keep=[maker.inputs[0]])[maker.inputs[0]]
            size = float(np.abs(before).max()) / 4
        apart = float(np.abs(ours[name].astype(np.float64) - array).max())
        assert apart <= relative * size, f"{name}: {apart} apart, {relative * size} is the bound"
    assert graph.meta["import"]["format"] == "onnx", "where it comes from"


def test_the_int8_twin_keeps_its_codes() -> None:
    shapes, fixed, _ = MODELS["minilm_int8/model.onnx"]
    graph = import_onnx(ASSETS / "minilm_int8/model.onnx", shapes=shapes, fixed=fixed)
    codes = [n for n in graph.constants if graph.values[n].dtype == "int8"]
    assert len(codes) == 38, "two tables and six weights in each of six layers"
    assert sum(a.nbytes for a in graph.constants.values()) < 23_000_000, "as large as the file"


def test_without_sizes_the_error_says_which() -> None:
    with pytest.raises(ValueError, match=r"input 'x' has sizes without a number .*shapes="):
        import_onnx(ASSETS / "rapidocr/ch_PP-OCRv4_det_infer.onnx")
    with pytest.raises(ValueError, match=r"If_0 .If.: its condition is known in a run only"):
        import_onnx(
            ASSETS / "silero_vad/silero_vad.onnx",
            shapes={"input": [1, 576], "state": [2, 1, 128]},
        )


# What onnxruntime's quantizer makes of real models: sizes of an input, operators that may differ.
QUANTIZED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "silero_vad/silero_vad_16k_sequence.onnx": (
        {"input": [9, 576], "h": [1, 1, 128], "c": [1, 1, 128]}, {}
    ),
    "rapidocr/ch_ppocr_mobile_v2.0_cls_infer.onnx": (
        {"x": [1, 3, 48, 192]}, {}
    ),
    "rapidocr/ch_PP-OCRv4_det_infer.onnx": (
        {"x": [1, 3, 64, 96]},
        {"Sigmoid": "the step of the output, 7e-8, is less than the error of MLAS' logistic"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("file", QUANTIZED)
def test_real_models_have_the_codes_of_onnxruntime(file: str, tmp_path: Path) -> None:
    shapes, differ = QUANTIZED[file]
    rng = np.random.default_rng(0)
    feeds = [{n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()} for _ in "ab"]
    quant_pre_process(str(ASSETS / file), str(tmp_path / "plain.onnx"), skip_symbolic_shape=True)
    made = quantized(
        onnx.load(tmp_path / "plain.onnx"), tmp_path, feeds[:1], quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        per_channel="silero" in file,  # an axis needs opset 13
    )  # fmt: skip
    graph = import_onnx(made.SerializeToString(), shapes=shapes)
    reals = [
        name
        for n in made.graph.node
        for name in n.output
        if name in graph.values and graph.values[name].quant is None
    ]
    ends = {value.name for value in made.graph.output}
    made.graph.output.extend(
        helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(reals)
        if name not in ends and graph.values[name].dtype == "float32"
    )  # fmt: skip
    found = layer_by_layer(graph, with_codes(made, feeds[1]))
    assert sum(total for _, total in found.values()) > 40_000, "the whole model"
    wrong = {op: n for op, n in found.items() if n[0] and op not in differ}
    assert not wrong, f"operator: (codes that differ, of): {wrong}"
    for op, why in differ.items():
        assert found[op][0], f"{op} agrees now; remove it: {why}"
