"""Real models in the runtime: the bits of the reference. `make models` fetches the files."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.importers.onnx_import import import_onnx
from refquant.model.loaders.g2p_gru import load_g2p
from refquant.model.loaders.minilm import features, load_minilm
from refquant.model.loaders.smollm2_gguf import load_llama_gguf, prompt
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.model.rq import write_rq
from refquant_runtime import Session

pytestmark = pytest.mark.models

ASSETS = Path(__file__).parents[2] / "assets"
Feeds = dict[str, NDArray[Any]]
Case = tuple[Graph, list[Feeds]]
RNG = np.random.default_rng(0)


def there(name: str) -> Path:
    path = ASSETS / name
    assert path.exists(), f"{name} is not there; run `make models`, or `make assets`"
    return path


def tokens(samples: int, steps: int) -> list[list[int]]:
    drawn: list[list[int]] = RNG.integers(1000, 20000, (samples, steps)).tolist()
    return drawn


def minilm(scheme: str) -> Case:
    graph = load_minilm(there("minilm/model.safetensors"))
    if scheme != "float32":
        graph = quantize(graph, recipe(scheme), features(tokens(2, 9)))
    return graph, [features(tokens(2, 5)), features(tokens(1, 33))]


def smollm2(scheme: str) -> Case:
    graph = load_llama_gguf(there("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"))
    if scheme != "float32":
        graph = quantize(graph, recipe(scheme), prompt(RNG.integers(0, 40000, (1, 8))))
    return graph, [prompt(RNG.integers(0, 40000, (1, n))) for n in (3, 9)]


def g2p(part: int) -> Case:
    graph = load_g2p(there("g2p/checkpoint20.npz"))[part]
    return graph, [drawn(graph, steps) for steps in (1, 9)]


def imported(name: str, **shapes: tuple[int, ...]) -> Case:
    graph = import_onnx(there(name), shapes=shapes)
    return graph, [drawn(graph, 1)]


def drawn(graph: Graph, steps: int) -> Feeds:
    """Two samples of small numbers for every input."""
    feeds: Feeds = {}
    for name in graph.inputs:
        value = graph.values[name]
        shape = tuple(int({"N": 2, "T": steps}.get(str(d), d)) for d in value.shape)
        if value.dtype == "int32":
            feeds[name] = RNG.integers(0, 25, shape).astype(np.int32)
        else:
            feeds[name] = RNG.standard_normal(shape).astype(np.float32) / 3
    return feeds


CASES: dict[str, Callable[[], Case]] = {
    **{f"minilm {s}": partial(minilm, s)
       for s in ("float32", "int8_weight_only", "int8_dynamic", "nf4")},
    **{f"smollm2 {s}": partial(smollm2, s) for s in ("float32", "int8_weight_only")},
    "g2p encoder": lambda: g2p(0), "g2p decoder": lambda: g2p(1),
    "silero": lambda: imported("silero_vad/silero_vad_16k_sequence.onnx", input=(1, 576)),
    "text lines": lambda: imported("rapidocr/ch_PP-OCRv4_det_infer.onnx", x=(1, 3, 64, 96)),
    "text": lambda: imported("rapidocr/ch_PP-OCRv4_rec_infer.onnx", x=(1, 3, 48, 64)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_runtime_has_the_references_bits(name: str, tmp_path: Path) -> None:
    graph, runs = CASES[name]()
    write_rq(tmp_path / "m.rq", graph)
    expected = [run(graph, feeds) for feeds in runs]
    for threads in (1, 2):
        session = Session(tmp_path / "m.rq", threads=threads)
        for feeds, arrays in zip(runs, expected, strict=True):
            got = session.run(feeds)
            for key, array in arrays.items():
                assert got[key].tobytes() == array.tobytes(), f"{name}, {threads} threads: {key!r}"
        session.close()
