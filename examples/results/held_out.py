"""GPTQ's own objective on data that it has not seen: how like them the calibration is.

For every layer of Whisper, of W that became W^ and of inputs x that the float model computes::

    loss = sum |(W^ - W) x|^2 / sum |W x|^2

over the book it was calibrated with (``read_before``), other texts of the same voices (``read``)
and people (``heard``). An algorithm that fits W^ to inputs must win on all three; the distance
between the first and the others says how far the calibration is from them. Not for AWQ, whose
scales have moved: its W^ meets other inputs.

``python -m examples.results.held_out FOLDER ...``, each with encoder.rq and decoder.rq by a recipe
of its own, prints JSON: means of the logarithm, and of how many layers each is better than the
first. `examples.results.make whisper` has made the data. It takes a minute or two.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.results.subjects import ASSETS, DATA, WHISPER
from refquant.evaluation.decoded import decoded_weights
from refquant.model.execute import run
from refquant.model.graph import Graph, Node
from refquant.model.loaders.samples_sound import decoder_samples, encoder_samples, find_recordings
from refquant.model.loaders.text import read_tokenizer
from refquant.model.loaders.whisper_ct2 import load_whisper
from refquant.model.quantize_weights import WEIGHTED, has_constant_weight
from refquant.model.rq import read_rq
from refquant.model.weight_matrix import matrix_of, tokens_of

__all__ = ["held_out"]

RECORDINGS, EVERY = 5, 15  # of each kind; of the 1,500 places of sound, every so-many-th
PARTS = ("encoder", "decoder")
Losses = dict[tuple[str, str], NDArray[np.float64]]


def held_out(folders: list[Path], audio: Path) -> Losses:
    """Return the loss of each (part, layer) on the recordings in ``audio``, one for each folder."""
    sums: dict[tuple[str, str], Any] = {}
    pair = load_whisper(Path(WHISPER) / "model.bin")
    for part, graph in zip(PARTS, pair, strict=True):
        others = [decoded_weights(read_rq(folder / f"{part}.rq")) for folder in folders]
        for node, x in _inputs(pair, part, audio):
            w = _matrix(graph, node)
            apart = [_matrix(other, _named(other, node.name)) - w for other in others]
            found = [float(((x @ one.T) ** 2).sum()) for one in (w, *apart)]
            sums[part, node.name] = sums.get((part, node.name), 0) + np.array(found)
    return {name: total[1:] / total[0] for name, total in sums.items()}


def _inputs(
    pair: tuple[Graph, Graph], part: str, audio: Path
) -> Iterator[tuple[Node, NDArray[np.float64]]]:
    """Yield each layer of ``part`` with the tokens that a recording brings it."""
    found = find_recordings(audio)[:RECORDINGS]
    tokenizer = read_tokenizer(ASSETS / "whisper_tiny_en/tokenizer.json")
    samples: list[Any] = encoder_samples(pair[0], found)
    if part == "decoder":
        samples = [*decoder_samples(*pair, tokenizer, found)]
    graph = pair[PARTS.index(part)]
    layers = [n for n in graph.nodes if n.op in WEIGHTED and has_constant_weight(graph, n)]
    layers = [n for n in layers if n.name != "logits"]
    for sample in samples:
        read = {n.inputs[0] for n in layers}
        values = {**run(graph, sample, keep=read - set(graph.inputs), sums="blas"), **sample}
        for node in layers:
            shape = graph.constants[node.inputs[1]].shape
            tokens = tokens_of(node, values[node.inputs[0]], shape)
            yield node, tokens[:: EVERY if len(tokens) > 1000 else 1].astype(np.float64)


def _matrix(graph: Graph, node: Node) -> NDArray[np.float64]:
    made: NDArray[np.float64] = matrix_of(node, graph.constants[node.inputs[1]]).astype(np.float64)
    return made


def _named(graph: Graph, name: str) -> Node:
    return next(node for node in graph.nodes if node.name == name)


def main() -> None:
    """Print what is found of the folders that are named."""
    folders = [Path(name) for name in sys.argv[1:]]
    if not folders:
        raise SystemExit("name folders, each with an encoder.rq and a decoder.rq")
    made: dict[str, Any] = {}
    for kind in ("read_before", "read", "heard"):
        losses = held_out(folders, DATA / kind)
        for part in PARTS:
            rows = np.array([row for (p, _), row in losses.items() if p == part])
            made[f"{kind}, {part}"] = {
                "layers": len(rows),
                "mean": dict(
                    zip(
                        sys.argv[1:],
                        np.exp(np.log(rows).mean(axis=0)).round(5).tolist(),
                        strict=True,
                    )
                ),
                "better_than_first": dict(
                    zip(sys.argv[1:], (rows < rows[:, :1]).sum(axis=0).tolist(), strict=True)
                ),
            }
    json.dump(made, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
