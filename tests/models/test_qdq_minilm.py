"""MiniLM by onnxruntime's quantizers, static and dynamic: its codes are ours.

`make models` fetches the model, `minilm_int8`: somebody's export with weights of codes, which
onnxruntime's optimizer makes float32 again before its quantizer sees them.
"""

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import QuantType, quantize_dynamic

from tests.models.qdq import (
    ASSETS,
    FORMS,
    Feeds,
    Pairs,
    asked,
    check_codes,
    check_floats,
    check_list,
    codes_found,
    in_pairs,
    pairs_of,
    plain,
    reasons,
)
from tests.models.test_int8_minilm import inputs

pytestmark = pytest.mark.models

NAMES = ("input_ids", "attention_mask", "token_type_ids")
NEAR = {  # tests/refquant/model/loaders/near.py
    "Erf": 6.7e-7,
    "Softmax": (2 * 32) ** 0.5 * 2.0**-24 + 2 * 6.7e-7,
}
KEPT = {
    "LayerNormalization needs reals: LayerNormalization has no form on codes": 13,
    "its input is the float32 output of LayerNormalization": 13,
    "its input is the float32 output of Where": 7,
    "IsNaN needs reals: IsNaN has no form on codes": 6,
    "Div needs reals: Div has no form on codes": 6,
    "its input is the float32 output of Erf": 6,
    "its input is the float32 output of Gather": 3,
}


@cache
def sentences(group: int, start: int) -> Feeds:
    return {n: inputs()[group][n][start : start + 2].astype(np.int64) for n in NAMES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("minilm")


@cache
def whole(folder: Path) -> Path:
    return plain(ASSETS / "minilm_int8/model.onnx", folder)


@cache
def pairs(form: str, folder: Path) -> Pairs:
    here = folder / form
    here.mkdir()
    batches = [sentences(0, 0), sentences(2, 4), sentences(4, 6)]
    return in_pairs(whole(folder), here, form, batches, sentences(1, 9))


@pytest.mark.parametrize("form", FORMS)
def test_its_codes_are_ours(form: str, folder: Path) -> None:
    """Its Softmax is not fused: a test for NaN stands between it and its pair. Nine are masks."""
    check_codes(pairs(form, folder), {}, tensors=169 + 9, rounded={"Add", "Mul", "MatMul"})


@pytest.mark.parametrize("form", FORMS)
def test_what_stays_in_float32_is_near_and_listed(form: str, folder: Path) -> None:
    p = pairs(form, folder)
    other = check_floats(p, relative=NEAR)
    assert other <= {*NEAR, "LayerNormalization"}, f"{other}"
    check_list(p)
    assert reasons(p) == KEPT, f"{reasons(p)}"


@pytest.mark.parametrize("per_channel", [False, True])
def test_dynamic_products_are_ours_bit_for_bit(per_channel: bool, folder: Path) -> None:
    """Two tables of codes, and 36 products whose activations a run makes codes of."""
    path = folder / f"dynamic_{per_channel}.onnx"
    quantize_dynamic(whole(folder), path, weight_type=QuantType.QInt8, per_channel=per_channel)
    p = pairs_of(onnx.load(path), sentences(1, 9))
    kinds = [node.op for node in p.graph.nodes]
    assert kinds.count("MatMulIntegerToFloat") == 36, "each product of a weight"
    found = codes_found(p, asked(p, optimized=False))
    assert found["DynamicQuantizeLinear"][::2] == (0, 48), f"codes and zero points: {found}"
    other = check_floats(p, relative=NEAR)
    assert other <= {*NEAR, "LayerNormalization", "MatMul"}, (
        f"{other}: products of codes and all else are exact"
    )
    left = [told["node"] for told in p.told]
    assert all("embedding" in name for name in left), f"{left}: only what is gathered"
