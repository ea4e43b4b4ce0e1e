"""EfficientNet-lite0 by onnxruntime's quantizer: its codes are ours, layer by layer.

`make models` fetches the checkpoint and the photos; examples/efficientnet_lite0.py writes the file.
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

DENSE = {"u8s8": 0, "u8s8_channel": 8, "s8s8_channel": 8, "u8u8": 0}
"""Convolutions that stay float32. A channel whose weights are next to nothing beside its bias gets
the largest int32 as bias from onnxruntime's quantizer: 171,257 beyond int32, with the worst
photo. onnxruntime computes it all the same, and would wrap around; we do not have such a sum."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert (ASSETS / "efficientnet_lite0").exists(), "run `make assets`"
    return made("efficientnet_lite0.py", tmp_path_factory.mktemp("lite0"))


@cache
def pairs(form: str, folder: Path) -> Pairs:
    here = folder / form
    here.mkdir()
    path = plain(folder / "efficientnet_lite0.onnx", here)
    photos = [{"image": x[None]} for x in np.load(folder / "calibration.npz")["image"][::13]]
    return in_pairs(path, here, form, photos, {"image": np.load(folder / "test.npz")["image"][:1]})


@pytest.mark.parametrize("form", FORMS)
def test_its_codes_are_ours(form: str, folder: Path) -> None:
    check_codes(pairs(form, folder), {}, tensors=61, rounded={"Conv", "Add"})


@pytest.mark.parametrize("form", FORMS)
def test_what_stays_in_float32_is_near_and_listed(form: str, folder: Path) -> None:
    p = pairs(form, folder)
    assert check_floats(p) <= {"Conv"}, "the rest has the same bits"
    check_list(p)
    assert len(p.told) == 2 * DENSE[form], f"{reasons(p)}"
    kept = [told["reason"] for told in p.told if told["op"] == "DequantizeLinear"]
    assert all("the int32 accumulator of output channel" in why for why in kept), f"{kept}"
