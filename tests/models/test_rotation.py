"""Rotated, the real models compute the same function. `make models` fetches them.

100 dB is noise of 1e-5: both graphs round every operation to float32 (6e-8), some hundreds in a
row; a constant that is forgotten leaves less than 40 dB (tests/refquant/model/test_rotate_stream).
"""

import math
from pathlib import Path

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.graph import Graph
from refquant.model.loaders.minilm import features, load_minilm
from refquant.model.loaders.smollm2_gguf import load_llama_gguf, prompt
from refquant.model.loaders.whisper_ct2 import load_whisper
from refquant.model.rotate import rotate

pytestmark = pytest.mark.models

ASSETS = Path(__file__).parents[2] / "assets"
NEARLY = 100.0


def likeness(graph: Graph, other: Graph, inputs: dict[str, np.ndarray]) -> float:
    """The least SQNR of all outputs, dB."""
    a, b = (run(g, inputs, sums="blas") for g in (graph, other))
    found = math.inf
    for name in graph.outputs:
        exact = a[name].astype(np.float64)
        noise = float(((b[name] - exact) ** 2).sum())
        found = min(found, 10 * math.log10(float((exact**2).sum()) / noise))
    return found


def kinds(graph: Graph, how: str, inputs: dict[str, np.ndarray]) -> dict[str, int]:
    """Rotate, compare, count the records of each kind."""
    turned, records = rotate(graph, how=how, seed=0)
    found = likeness(graph, turned, inputs)
    assert found >= NEARLY, f"{graph.name} {how}: {found:.1f} dB"
    names = [record["kind"] for record in records]
    return {kind: names.count(kind) for kind in dict.fromkeys(names)}


def test_minilm() -> None:
    """Post-norm: R1 does not pass. 24 values are read by layers, 6 of them of heads."""
    graph = fold(load_minilm(ASSETS / "minilm/model.safetensors"))
    given = features([[101, 2023, 2003, 1037, 7953, 102], [101, 2178, 102]])
    assert kinds(graph, "online", given) == {"online": 24}, "one for each value"
    assert kinds(graph, "fused", given) == {"skipped": 13, "R2": 6, "online": 18}, "one norm each"


def test_whisper() -> None:
    encoder, decoder = map(fold, load_whisper(ASSETS / "whisper_tiny_en/model.bin"))
    mel = np.random.default_rng(0).standard_normal((1, 80, 3000)).astype(np.float32)
    assert kinds(encoder, "fused", {"mel": mel}) == {"R1": 1, "R2": 4, "online": 6}, "2 convs, 4 fc"
    audio = np.random.default_rng(1).standard_normal((1, 1500, 384)).astype(np.float32)
    given = {
        "audio": audio,
        "tokens": np.array([[50257, 50362, 464, 2068, 7586, 21831]], np.int32),
        "position_ids": np.arange(6, dtype=np.int32)[None],
    }
    assert kinds(decoder, "fused", given) == {"R1": 1, "R2": 8, "online": 5}, "4 fc, the audio"


def test_smollm2() -> None:
    path = ASSETS / "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    graph = load_llama_gguf(path, positions=64)
    given = prompt(list(range(100, 132)))
    assert kinds(graph, "fused", given) == {"R1": 1, "R2": 30, "online": 30}, "R4 is all that stays"
