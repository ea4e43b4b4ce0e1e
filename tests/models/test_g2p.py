"""Letters to phonemes, the file, on 1,000 words of a dictionary. `make models` fetches both."""

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from refquant.model.graph import Graph
from refquant.model.loaders.g2p_gru import load_g2p, pronounce
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
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


def test_onnxruntime_agrees_on_the_same_graphs() -> None:
    rng = np.random.default_rng(0)
    letters = rng.integers(3, 29, (4, 9)).astype(np.int32)
    state = agree(models()[0], {"letters": letters}, terms=9 * 256)["state"]
    phonemes = rng.integers(3, 74, (4, 9)).astype(np.int32)
    agree(models()[1], {"phonemes": phonemes, "state": state}, terms=9 * 256)
