"""What rotations do to real models: kurtosis of what layers read, error of 4 bits on both sides.

For each model, with no rotation, ``online`` and ``fused``::

    kurtosis    E x^4 / (E x^2)^2 of the input of every linear layer (3 for a normal distribution)
    w4a4        weights of int4, a scale for each output, inputs of int4, a scale for each token,
                clipped at 0.9 of the largest: the recipes w4a4 and w4a4_rotated, with their GPTQ
                and clipped weights, or with rounding to nearest and weights not clipped (rtn)
    w4a8        the same weights, inputs of int8, not clipped

``python examples/results/rotation.py`` prints JSON; ``python examples/results/rotation.py minilm``
one model's. SmolLM2's head stays float32, as in the papers, and its GPTQ is left to the results
page. It takes about a quarter of an hour on two cores, most of it for SmolLM2.
"""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.evaluation.perplexity import perplexity
from refquant.formats.gguf import read_gguf
from refquant.model.card import versions
from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.graph import Graph
from refquant.model.loaders.log_mel import log_mel
from refquant.model.loaders.minilm import load_minilm
from refquant.model.loaders.samples import read_wav, text_windows, token_inputs
from refquant.model.loaders.smollm2_gguf import load_llama_gguf, prompt
from refquant.model.loaders.text import gguf_tokenizer, read_tokenizer
from refquant.model.loaders.whisper_ct2 import load_whisper
from refquant.model.quantize import quantize
from refquant.model.quantize_weights import WEIGHTED, has_constant_weight
from refquant.model.recipe import Override, Recipe, Transforms, recipe
from refquant.model.recipe_algorithms import Gptq
from refquant.model.rotate import rotate

__all__ = ["MODELS", "measured"]

ASSETS = Path(__file__).parents[2] / "assets"
NOVEL = ASSETS / "text/moby-dick/data/data.txt"
SPEECH = ASSETS / "text/sotu/data/1981_jimmy_carter_d.txt"
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Subject:
    """A model, data to calibrate with, data to look at, and a number that says how good it is."""

    graph: Graph
    calibration: Arrays
    seen: Arrays
    metric: str
    score: Callable[[Graph], float]
    left: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ("rtn", "gptq")
    seeds: tuple[int, ...] = (0,)


def minilm() -> Subject:
    """Return MiniLM: 12 pieces of 128 tokens of a novel; 8 of a speech."""
    graph = load_minilm(ASSETS / "minilm/model.safetensors")
    tokenizer = read_tokenizer(ASSETS / "minilm/tokenizer.json")
    tokenizer.no_truncation()

    def pieces(path: Path, samples: int) -> Arrays:
        ids = tokenizer.encode(path.read_text(), add_special_tokens=False).ids
        return token_inputs(graph, text_windows(ids, context=128, samples=samples))

    speech = pieces(SPEECH, 8)
    score = _sqnr(graph, speech, "last_hidden_state")
    metric = "SQNR of last_hidden_state, dB"
    novel = pieces(NOVEL, 24)
    return Subject(graph, novel, speech, metric, score, seeds=(0, 1, 2))


def whisper_encoder() -> Subject:
    """Return the encoder of Whisper tiny.en: two recordings, and a third one."""
    graph, _ = load_whisper(ASSETS / "whisper_tiny_en/model.bin")
    paths = sorted((ASSETS / "librivox").glob("*.wav"))
    mels = [log_mel(read_wav(path)) for path in paths[:3]]
    seen = {"mel": mels[2]}
    score = _sqnr(graph, seen, "audio")
    return Subject(graph, {"mel": np.concatenate(mels[:2])}, seen, "SQNR of audio, dB", score)


def smollm2() -> Subject:
    """Return SmolLM2: perplexity of 2 windows of 512 tokens of a speech, no BOS."""
    path = ASSETS / "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    graph = load_llama_gguf(path, positions=512)
    ids = gguf_tokenizer(read_gguf(path), path=str(path)).encode(SPEECH.read_text()).ids

    def score(g: Graph) -> float:
        return perplexity(g, ids, context=512, samples=2, sums="blas").value

    seen = prompt(ids[:256])
    return Subject(graph, seen, seen, "perplexity", score, left=("logits",), algorithms=("rtn",))


MODELS: Mapping[str, Callable[[], Subject]] = {
    "minilm": minilm,
    "whisper_encoder": whisper_encoder,
    "smollm2": smollm2,
}


def measured(name: str) -> dict[str, Any]:
    """Return what rotations do to one of `MODELS`, JSON."""
    subject = MODELS[name]()
    graph = fold(subject.graph)
    kurtosis, counts = {}, {}
    for how in ("none", "online", "fused"):
        turned, records = (graph, []) if how == "none" else rotate(graph, how=how, seed=0)
        kurtosis[how] = _kurtosis(turned, subject.seen)
        counts[how] = _counted(records)
    cells: dict[str, float] = {}
    for algorithm in subject.algorithms:
        for how, seed in _ways(algorithm, subject.seeds):
            rules = _recipe(algorithm, how, seed, subject.left)
            done = quantize(graph, rules, subject.calibration)
            for inputs in ("w4a4", "w4a8"):
                key = " ".join([inputs, algorithm, how, *([] if how == "none" else [str(seed)])])
                cells[key] = round(subject.score(_reading(done, inputs)), 3)
                print(name, key, cells[key], file=sys.stderr, flush=True)
    if subject.metric == "perplexity":
        cells["float32"] = round(subject.score(graph), 3)
    return {
        "model": name,
        "metric": subject.metric,
        "cells": cells,
        "kurtosis": kurtosis,
        "rotations": counts,
        "versions": {**versions(numpy=True), "python": platform.python_version()},
    }


def _ways(algorithm: str, seeds: tuple[int, ...]) -> list[tuple[str, int]]:
    """Return the rotations to try: all of them for rounding to nearest, which is quick."""
    if algorithm == "gptq":
        return [("none", 0), ("fused", 0)]
    return [("none", 0), ("online", 0), *(("fused", seed) for seed in seeds)]


def _recipe(algorithm: str, how: str, seed: int, left: tuple[str, ...]) -> Recipe:
    """Return the recipe w4a4 with this algorithm and rotation; rtn is not clipped."""
    rules = recipe("w4a4")
    assert rules.weights is not None, "it has"
    settings = Gptq(few_tokens=True) if algorithm == "gptq" else None
    observer = "mse_grid" if algorithm == "gptq" else "minmax"
    return replace(
        rules,
        sums="blas",
        weights=replace(rules.weights, algorithm=algorithm, gptq=settings, observer=observer),
        transforms=None if how == "none" else Transforms(rotate=how, seed=seed),
        overrides=tuple(Override(name, exclude=True) for name in left),
    )


def _reading(graph: Graph, inputs: str) -> Graph:
    """Return a graph of w4a4 with inputs of int8 that nothing clips: no weight depends on them."""
    if inputs == "w4a4":
        return graph
    nodes = []
    for node in graph.nodes:
        if node.op == "FakeQuantize":
            kept = {k: v for k, v in node.attributes.items() if k != "clip_ratio"}
            node = replace(node, attributes={**kept, "format": "int8"})
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _kurtosis(graph: Graph, inputs: Arrays) -> dict[str, Any]:
    """Return the median, and the largest with its layer, of the kurtosis of what layers read."""
    layers = [n for n in graph.nodes if n.op in WEIGHTED and has_constant_weight(graph, n)]
    read = {n.inputs[0] for n in layers}
    values = {**run(graph, inputs, keep=read - set(graph.inputs), sums="blas"), **inputs}
    by_value = {name: _of(values[name]) for name in read}
    found = sorted((by_value[n.inputs[0]], n.name) for n in layers)
    middle = found[len(found) // 2][0]
    return {"layers": len(found), "median": middle, "largest": found[-1][0], "of": found[-1][1]}


def _of(x: NDArray[Any]) -> float:
    square = x.astype(np.float64) ** 2
    return round(float((square**2).mean() / square.mean() ** 2), 2)


def _counted(records: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many rotations there are of each kind, and how many stay while running."""
    counts = {"while_running": sum(record.get("while_running", 0) for record in records)}
    for record in records:
        counts[record["kind"]] = counts.get(record["kind"], 0) + 1
    return counts


def _sqnr(graph: Graph, inputs: Arrays, output: str) -> Callable[[Graph], float]:
    exact = run(graph, inputs, sums="blas")[output].astype(np.float64)

    def score(other: Graph) -> float:
        got = run(other, inputs, sums="blas")[output].astype(np.float64)
        noise = float(((got - exact) ** 2).sum())
        return math.inf if noise == 0 else 10 * math.log10(float((exact**2).sum()) / noise)

    return score


def main() -> None:
    """Print the JSON of the models that are named, or of all."""
    names = sys.argv[1:] or list(MODELS)
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise SystemExit(f"unknown models {unknown}; there are {', '.join(MODELS)}")
    json.dump([measured(name) for name in names], sys.stdout, indent=1, allow_nan=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
