"""PP-OCR (detector, recognizer, classifier) by onnxruntime's quantizer: its codes are ours.

`make models` fetches the models; inputs are drawn by examples/rapidocr_lines.py.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.models.qdq import (
    ASSETS,
    FORMS,
    Pairs,
    check_codes,
    check_floats,
    check_list,
    in_pairs,
    plain,
    reasons,
)
from tests.models.test_int8_vision import made

pytestmark = pytest.mark.models

FILES = {  # name -> (file, tensors of codes)
    "cls": ("ch_ppocr_mobile_v2.0_cls_infer", 145),
    "rec": ("ch_PP-OCRv4_rec_infer", 293),
    "det": ("ch_PP-OCRv4_det_infer", 287),
}
KEPT = {
    "cls": {
        "Div needs reals: Div has no form on codes": 18,
        "its input is the float32 output of Div": 17,
        "its input is the float32 output of MaxPool": 1,
    },
    "rec": {
        "Div needs reals: Div has no form on codes": 28,
        "its input is the float32 output of Div": 28,
        "LayerNormalization needs reals: LayerNormalization has no form on codes": 5,
        "its input is the float32 output of LayerNormalization": 5,
        "AveragePool needs reals: onnxruntime averages the reals, and quantizes the mean": 1,
        "onnxruntime averages the reals, and quantizes the mean": 1,
    },
    "det": {
        "Div needs reals: Div has no form on codes": 24,
        "its input is the float32 output of Div": 24,
        "ConvTranspose needs reals: onnxruntime has no ConvTranspose of codes, and computes it in "
        "float32": 2,
        "its input is the float32 output of ConvTranspose": 2,
        "BatchNormalization needs reals: BatchNormalization has no form on codes": 1,
        "its input is the float32 output of BatchNormalization": 1,
    },
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made("rapidocr_lines.py", tmp_path_factory.mktemp("ocr"))


@cache
def pairs(name: str, form: str, folder: Path) -> Pairs:
    here = folder / f"{name}_{form}"
    here.mkdir()
    path = plain(ASSETS / f"rapidocr/{FILES[name][0]}.onnx", here)
    lines = [{"x": x[None]} for x in np.load(folder / f"{name}_calibration.npz")["x"][:3]]
    test = {"x": np.load(folder / f"{name}_test.npz")["x"][:1]}
    return in_pairs(path, here, form, lines, test)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FILES)
def test_its_codes_are_ours(name: str, form: str, drawn: Path) -> None:
    rounded = {"Conv", "Add", "Mul", "MatMul", "Softmax"}
    if name == "rec":  # its mean of codes, fused or not, is in another contract
        rounded.add("QuantizeLinear")
    check_codes(pairs(name, form, drawn), {}, tensors=FILES[name][1], rounded=rounded)


@pytest.mark.parametrize("name", FILES)
def test_floats_between_are_near(name: str, drawn: Path) -> None:
    other = check_floats(pairs(name, "u8s8_channel", drawn))
    assert other <= {"ConvTranspose", "BatchNormalization", "LayerNormalization"}, f"{other}"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FILES)
def test_what_stays_in_float32_is_listed(name: str, form: str, drawn: Path) -> None:
    p = pairs(name, form, drawn)
    check_list(p)
    assert reasons(p) == KEPT[name], f"{reasons(p)}"
