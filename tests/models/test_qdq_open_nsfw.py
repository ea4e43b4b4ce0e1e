"""open_nsfw (a thin ResNet of 50 layers) by onnxruntime's quantizer: its codes are ours.

`make models` fetches the model and the photos.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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

pytestmark = pytest.mark.models

MEAN = np.array([104, 117, 123], np.float32)  # of blue, green, red
KEPT = {
    "Sub needs reals: Sub has no form on codes": 53,
    "its input is the float32 output of Sub": 53,
    "ReduceMean needs reals: ReduceMean has no form on codes": 1,
    "its input is the float32 output of ReduceMean": 1,
}
"""Each batch normalization is a Sub, Mul and Add, and the quantizer has no Sub."""


def pixels(name: str) -> dict[str, Any]:
    photo = Image.open(ASSETS / name).convert("RGB").resize((224, 224))
    return {"input_0": np.asarray(photo, np.float32)[None, ..., ::-1] - MEAN}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("open_nsfw")


@cache
def pairs(form: str, folder: Path) -> Pairs:
    here = folder / form
    here.mkdir()
    path = plain(ASSETS / "open_nsfw/open_nsfw.onnx", here)
    names = ("astronaut.png", "coffee.png", "chelsea.png")
    photos = [pixels(f"calibration_photos/{name}") for name in names]
    return in_pairs(path, here, form, photos, pixels("photos/imagenet_00_243.jpg"))


@pytest.mark.parametrize("form", FORMS)
def test_its_codes_are_ours(form: str, folder: Path) -> None:
    p = pairs(form, folder)
    check_codes(p, {}, tensors=233, rounded={"Conv", "Add", "Mul", "Softmax"})


@pytest.mark.parametrize("form", FORMS)
def test_what_stays_in_float32_has_the_same_bits_and_is_listed(form: str, folder: Path) -> None:
    p = pairs(form, folder)
    assert check_floats(p) == set(), "a mean of 49 and differences"
    check_list(p)
    assert reasons(p) == KEPT, f"{reasons(p)}"
