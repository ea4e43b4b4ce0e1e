"""Silero VAD by onnxruntime's quantizers: codes are ours, the LSTM stays near in float32.

`make models` fetches both models and the recordings.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
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
