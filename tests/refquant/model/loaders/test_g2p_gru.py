"""Letters to phonemes: what onnxruntime says, order of gates, damaged files."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.execute import run
from refquant.model.loaders.g2p_gru import LETTERS, PHONEMES, g2p_graphs, load_g2p, pronounce
from refquant.model.loaders.tensors import ModelFileError, Tensors
from tests.refquant.model.loaders.near import agree
from tests.refquant.model.loaders.tiny import g2p_arrays, with_shape, without

ARRAYS = g2p_arrays()
ENCODER, DECODER = g2p_graphs(Tensors("m", ARRAYS))


def test_onnxruntime_agrees() -> None:
    letters = np.array([[3, 9, 2], [28, 0, 2]], np.int32)
    state = agree(ENCODER, {"letters": letters}, terms=6)["state"]
    phonemes = np.array([[2, 70, 3], [9, 4, 1]], np.int32)
    agree(DECODER, {"phonemes": phonemes, "state": state}, terms=6)


def test_a_step_is_that_of_the_files_own_order_of_gates() -> None:
    """In float64, from the arrays as they stand: r, z, n, and the reset after the product."""
    a = {name: array.astype(np.float64) for name, array in ARRAYS.items()}
    h = np.linspace(-1, 1, 6)

    def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
        y: NDArray[np.float64] = 1 / (1 + np.exp(-x))
        return y

    i = np.split(a["dec_w_ih"] @ a["dec_emb"][2] + a["dec_b_ih"], 3)
    s = np.split(a["dec_w_hh"] @ h + a["dec_b_hh"], 3)
    r, z = sigmoid(i[0] + s[0]), sigmoid(i[1] + s[1])
    new = (1 - z) * np.tanh(i[2] + r * s[2]) + z * h
    given = {"phonemes": np.array([[2]], np.int32), "state": h.astype(np.float32)[None, None]}
    got = run(DECODER, given)["next_state"][0, 0]
    # two dot products of 5 and 6 terms below 4 in all, a few gates: 40 roundings of numbers below 8
    assert np.abs(got - new).max() <= 40 * 8 * 2.0**-24, f"{np.abs(got - new).max()} apart"


def test_words_stop_and_have_a_length() -> None:
    said = pronounce((ENCODER, DECODER), ["Ab", "ba"])
    assert all(len(phonemes) <= 20 for phonemes in said), "twenty at most"
    assert {p for word in said for p in word} <= set(PHONEMES), "phonemes"
    assert said[0] == pronounce((ENCODER, DECODER), ["ab"])[0], "a word alone says the same"
    assert (len(LETTERS), len(PHONEMES)) == (29, 74), "as many as the tables have rows"
    for words in ([], ["ab", "c"], ["a1"]):
        with pytest.raises(ValueError, match="words must be at least one, of a to z"):
            pronounce((ENCODER, DECODER), words)


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_is_missing_or_of_another_shape_is_refused(name: str) -> None:
    for file in (without(ARRAYS, name), with_shape(ARRAYS, name)):
        with pytest.raises(ModelFileError, match="m: "):
            g2p_graphs(file)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.npz"
    np.savez(path, **ARRAYS)  # type: ignore[arg-type]  # its stub takes every name for allow_pickle
    assert load_g2p(path) == (ENCODER, DECODER), "what is written is read"
    whole = path.read_bytes()
    for data in (b"", b"PK", whole[: len(whole) // 2], b"\x93NUMPY\x01\x00"):
        path.write_bytes(data)
        with pytest.raises(ModelFileError, match=r"g\.npz: (is no .npz archive|cannot be read)"):
            load_g2p(path)
