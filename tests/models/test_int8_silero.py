"""Voice activity (silero: convolutions and an LSTM) in 8 bits, on recordings and on noise.

`make models` fetches both. The states go from one call to the next, as on a device. Ranges come
from one recording, which is not among those that are measured.
"""

import wave
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.importers.onnx_import import import_onnx
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.model.rq import write_rq
from refquant.model.stream import Stream
from refquant_runtime import Session

pytestmark = pytest.mark.models

ASSETS = Path(__file__).parents[2] / "assets"
FRAMES, HOP, CONTEXT = 32, 512, 64
"""Of a call: frames of 64 samples that were there and 512 that are new."""
CALIBRATION = "0870"
F32 = NDArray[np.float32]


@cache
def model() -> Graph:
    path = ASSETS / "silero_vad/silero_vad_16k_sequence.onnx"
    assert path.exists(), "the model is not there; run `make assets WANT=silero_vad`"
    return import_onnx(path, shapes={"input": [FRAMES, CONTEXT + HOP]})


def frames(sound: F32) -> F32:
    count = -(-sound.size // (HOP * FRAMES)) * FRAMES
    padded = np.zeros(CONTEXT + count * HOP, np.float32)
    padded[CONTEXT : CONTEXT + sound.size] = sound
    return np.stack([padded[i * HOP : i * HOP + CONTEXT + HOP] for i in range(count)])


@cache
def sounds() -> dict[str, F32]:
    """Five recordings by the end of their names, and six seconds of noise."""
    found = {}
    for path in sorted((ASSETS / "librivox").glob("*.wav")):
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        found[path.stem[-4:]] = frames(samples.astype(np.float32) / np.float32(32768))
    assert len(found) == 5, "five recordings; run `make assets WANT=librivox`"
    noise = np.random.default_rng(0).standard_normal(96_000).astype(np.float32)
    return {**found, "noise": frames(noise / np.float32(20))}


def calls(graph: Graph, sound: F32) -> tuple[list[dict[str, Any]], F32]:
    """What each call reads, and the probabilities of speech, one a frame."""
    h = c = np.zeros((1, 1, 128), np.float32)
    inputs, found = [], []
    for start in range(0, len(sound), FRAMES):
        inputs.append({"input": sound[start : start + FRAMES], "h": h, "c": c})
        got = run(graph, inputs[-1])
        h, c = got["hn"], got["cn"]
        found.append(got["speech_probs"])
    return inputs, np.concatenate(found)


@cache
def exact(name: str) -> tuple[list[dict[str, Any]], F32]:
    return calls(model(), sounds()[name])


def test_it_hears_speech_and_no_speech_in_noise() -> None:
    means = {name: round(float(exact(name)[1].mean()), 2) for name in sounds()}
    assert means == {
        "0870": 0.91, "0880": 0.81, "0890": 0.78, "0920": 0.90, "0930": 0.67, "noise": 0.01,
    }, f"{means}: with the silence at the ends"  # fmt: skip


LIMIT = 0.02
KNOWN = {  # mean |difference|: over the four other recordings, in noise
    "int8_weight_only": (0.0050, 0.0005),
    "int8_dynamic": (0.0066, 0.0007),
    "w8a8_static_linear": (0.0093, 0.0011),
    "int8_static": (0.0078, 0.0013),
}


def drift(graph: Graph, names: list[str]) -> float:
    parts = [np.abs(calls(graph, sounds()[name])[1] - exact(name)[1]) for name in names]
    return float(np.concatenate(parts).mean())


@pytest.mark.parametrize("scheme", KNOWN)
def test_in_8_bits_it_hears_the_same(scheme: str) -> None:
    graph = quantize(model(), recipe(scheme), exact(CALIBRATION)[0])
    others = [name for name in sounds() if name not in (CALIBRATION, "noise")]
    found = (drift(graph, others), drift(graph, ["noise"]))
    assert max(found) <= LIMIT, f"{found}"
    assert tuple(round(value, 4) for value in found) == KNOWN[scheme], f"{found}"


def test_a_spectrum_on_codes_of_squares_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why squares under a root stay float32: a quiet frequency is lost beside a loud one."""
    monkeypatch.setattr("refquant.model.quantize_plan.roots_of_squares", lambda graph: set())
    graph = quantize(model(), recipe("int8_static"), exact(CALIBRATION)[0])
    assert drift(graph, ["0920"]) > LIMIT, "codes of squares would do"


@cache
def detector() -> Graph:
    """The model of one frame a call, whose state goes on by itself."""
    path = ASSETS / "silero_vad/silero_vad_half.onnx"
    shapes: dict[str, list[int | str]] = {"input": [1, CONTEXT + HOP], "state": [2, 1, 128]}
    return import_onnx(path, shapes=shapes, states={"state": "stateN"})


def heard(graph: Graph, name: str) -> F32:
    """The probability of each frame of a recording, one stream from its beginning."""
    stream = Stream(graph, sums="blas")
    return np.concatenate([stream.run({"input": f[None]})["output"][0] for f in sounds()[name]])


STREAMED = {
    "int8_static": (0.0145, 0.0013),
    "w8a8_static_linear": (0.0161, 0.0006),
    "int8_dynamic": (0.0031, 0.0002),  # ranges of each frame
}


@pytest.mark.parametrize("scheme", STREAMED)
def test_a_stream_in_8_bits_hears_the_same(scheme: str) -> None:
    """Calibrated on one recording from its beginning to its end; four others are measured."""
    small = quantize(detector(), recipe(scheme), {"input": sounds()[CALIBRATION][:, None]})
    (walk,) = (node for node in small.nodes if node.op.endswith("LSTM"))
    kinds = [small.values[name].dtype for name in (*walk.inputs[:3], *walk.inputs[5:])]
    x = "float32" if scheme == "int8_dynamic" else "uint8"
    assert kinds == [x, "int8", "int8", "float32", "float32"], "codes, and states of reals"
    others = [name for name in sounds() if name not in (CALIBRATION, "noise")]
    parts = {
        name: np.abs(heard(small, name) - heard(detector(), name)) for name in (*others, "noise")
    }
    mean = float(np.concatenate([parts[name] for name in others]).mean())
    assert mean <= LIMIT, f"{mean}"
    found = (round(mean, 4), round(float(parts["noise"].mean()), 4))
    assert found == STREAMED[scheme], f"{found}"


@pytest.mark.parametrize("scheme", ["int8_static", "int8_dynamic"])
def test_the_device_hears_what_the_reference_hears(scheme: str, tmp_path: Path) -> None:
    small = quantize(detector(), recipe(scheme), {"input": sounds()[CALIBRATION][:, None]})
    write_rq(tmp_path / "vad.rq", small)
    session, stream = Session(tmp_path / "vad.rq", threads=1), Stream(small)
    for i, frame in enumerate(sounds()["0920"][:40]):
        want, got = (of.run({"input": frame[None]})["output"] for of in (stream, session))
        assert want.tobytes() == got.tobytes(), f"frame {i}"
