"""Letters to phonemes, the file, on 1,000 words of a dictionary. `make models` fetches both."""

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from refquant.model.calibrate import Batch
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.loaders.g2p_gru import LETTERS, PHONEMES, load_g2p, pronounce
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.model.rq import parse_rq, rq_bytes
from tests.refquant.model.loaders.near import agree

pytestmark = pytest.mark.models

ASSETS = Path(__file__).parents[2] / "assets"


@cache
def models() -> tuple[Graph, Graph]:
    path = ASSETS / "g2p/checkpoint20.npz"
    assert path.exists(), "the model is not there; run `make models`, or `make assets WANT=g2p`"
    return load_g2p(path)


@cache
def dictionary() -> dict[str, list[list[str]]]:
    path = ASSETS / "text/cmudict/data/dict.txt"
    assert path.exists(), "the dictionary is not there; run `make assets WANT=text`"
    found: dict[str, list[list[str]]] = defaultdict(list)
    for line in path.read_text(encoding="latin-1").splitlines():
        word, said = line.split("  ", 1)
        word = re.sub(r"\(\d+\)$", "", word).lower()
        if re.fullmatch("[a-z]+", word):
            found[word].append(said.split())
    return found


def distance(a: list[str], b: list[str]) -> int:
    """Levenshtein's."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        new = [i]
        for j, y in enumerate(b, 1):
            new.append(min(row[j - 1] + (x != y), row[j] + 1, new[-1] + 1))
        row = new
    return row[-1]


def measured(graphs: tuple[Graph, Graph], *, sums: str = "ordered") -> tuple[int, float]:
    """How many of 1,000 words are right, and the phonemes that are wrong, of 100."""
    words = sorted(dictionary())
    chosen = [words[i] for i in np.random.default_rng(0).choice(len(words), 1000, replace=False)]
    by_length: dict[int, list[str]] = defaultdict(list)
    for word in chosen:
        by_length[len(word)].append(word)
    said: dict[str, list[str]] = {}
    for group in by_length.values():
        said |= dict(zip(group, pronounce(graphs, group, sums=sums), strict=True))
    right = sum(said[word] in dictionary()[word] for word in chosen)
    errors = sum(min(distance(said[word], p) for p in dictionary()[word]) for word in chosen)
    return right, 100 * errors / sum(len(dictionary()[word][0]) for word in chosen)


def test_as_many_words_are_right_as_is_known() -> None:
    right, wrong = measured(models())
    assert right == 691, f"{right} of 1,000 words are right, 69.1 % is known"
    assert round(wrong, 1) == 9.8, f"{wrong} % of phonemes"


@pytest.mark.parametrize(
    ("scheme", "known"), [("int8_weight_only", 688), ("w8_group64_weight_only", 692)]
)
def test_8_bits_lose_less_than_a_point(scheme: str, known: int) -> None:
    encoder, decoder = (quantize(graph, recipe(scheme)) for graph in models())
    right, wrong = measured((encoder, decoder), sums="blas")
    assert abs(right - 691) <= 10, f"{right} of 1,000: a point is 10"
    assert right == known, f"{right} of 1,000, {wrong:.1f} % of phonemes"


def calibration(count: int = 300) -> tuple[list[Batch], list[Batch]]:
    """What encoder and decoder read for words that are not among the 1,000, as the file says."""
    words, encoder = sorted(dictionary()), models()[0]
    measured = set(np.random.default_rng(0).choice(len(words), 1000, replace=False).tolist())
    drawn = np.random.default_rng(1).choice(len(words), count + 50, replace=False).tolist()
    groups: dict[tuple[int, int], list[str]] = defaultdict(list)
    for word in [words[i] for i in drawn if i not in measured][:count]:
        groups[len(word), len(dictionary()[word][0])].append(word)
    read: tuple[list[Batch], list[Batch]] = ([], [])
    for group in groups.values():
        spelled = [[LETTERS.index(letter) for letter in (*word, "</s>")] for word in group]
        read[0].append({"letters": np.array(spelled, np.int32)})
        state = run(encoder, read[0][-1], sums="blas")["state"]
        said = [[PHONEMES.index(p) for p in ("<s>", *dictionary()[word][0])] for word in group]
        read[1].append({"phonemes": np.array(said, np.int32), "state": state})
    return read


STATIC = {"int8_static": 684, "w8a8_static_linear": 682}


@pytest.mark.parametrize("scheme", STATIC)
def test_a_gru_of_codes_loses_less_than_a_point(scheme: str) -> None:
    """Both products of every step on codes; the state is float32 between."""
    encoder, decoder = (
        quantize(graph, recipe(scheme), data)
        for graph, data in zip(models(), calibration(), strict=True)
    )
    for graph in (encoder, decoder):
        (gru,) = (node for node in graph.nodes if node.op == "GRU")
        dtypes = [graph.values[name].dtype for name in (*gru.inputs[:3], gru.outputs[0])]
        assert dtypes == ["uint8", "int8", "int8", "uint8"], "on codes"
        parse_rq(rq_bytes(graph), name="g.rq")
    right, wrong = measured((encoder, decoder), sums="blas")
    assert abs(right - 691) <= 10, f"{right} of 1,000: a point is 10"
    assert right == STATIC[scheme], f"{right} of 1,000, {wrong:.1f} % of phonemes"


def test_a_gru_of_dynamic_codes_loses_less_than_a_point() -> None:
    """No calibration: ranges of each word, and of the state at each of its letters."""
    encoder, decoder = (quantize(graph, recipe("int8_dynamic")) for graph in models())
    for graph in (encoder, decoder):
        assert "DynamicQuantizeGRU" in {node.op for node in graph.nodes}, "on codes"
    right, wrong = measured((encoder, decoder), sums="blas")
    assert abs(right - 691) <= 10, f"{right} of 1,000: a point is 10"
    assert right == 689, f"{right} of 1,000, {wrong:.1f} % of phonemes"


def test_onnxruntime_agrees_on_the_same_graphs() -> None:
    rng = np.random.default_rng(0)
    letters = rng.integers(3, 29, (4, 9)).astype(np.int32)
    state = agree(models()[0], {"letters": letters}, terms=9 * 256)["state"]
    phonemes = rng.integers(3, 74, (4, 9)).astype(np.int32)
    agree(models()[1], {"phonemes": phonemes, "state": state}, terms=9 * 256)
