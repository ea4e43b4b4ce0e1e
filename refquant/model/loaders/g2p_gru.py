"""Letters to phonemes, GRU encoder and decoder: npz to two `Graph` s.

::

    encoder   letters (N, T) --> enc_emb --> GRU --> state (N, 1, H)
    decoder   phonemes (N, T), state --> dec_emb --> GRU --> fc --> logits (N, T, P), next_state

The decoder starts from the encoder's state and the phoneme ``<s>``; each phoneme it says is its
next input, until ``</s>``. Gates stand in the file as PyTorch has them, r, z, n; ONNX has z, r, h:
weights keep their names and numbers, their rows change places.

Source: the arrays and symbols of g2p-en 2.1 (Park, Kim, 2019); Cho et al., 2014, for the GRU.
"""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.loaders.layers import linear
from refquant.model.loaders.tensors import ModelFileError, Tensors

__all__ = ["LETTERS", "PHONEMES", "g2p_graphs", "load_g2p", "pronounce"]

LETTERS = ("<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz")
_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
_REST = "B CH D DH F G HH JH K L M N NG P R S SH T TH UW V W Y Z ZH"  # a UW without stress, too
PHONEMES = (
    "<pad>",
    "<unk>",
    "<s>",
    "</s>",
    *sorted([v + stress for v in _VOWELS.split() for stress in "012"] + _REST.split()),
)
_START, _STOP, _MOST = PHONEMES.index("<s>"), PHONEMES.index("</s>"), 20


def load_g2p(path: str | os.PathLike[str]) -> tuple[Graph, Graph]:
    """Return the graphs (encoder, decoder) of the file; any fault is a `ModelFileError`.

    >>> load_g2p("no such file")
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: no such file: cannot be read: No such file or \
directory; give the path of checkpoint20.npz
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays: Mapping[str, NDArray[Any]] = {name: archive[name] for name in archive.files}
            odd = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
            if odd:  # NumPy hands out the bytes of what has not the head of an array
                raise ValueError(f"{odd[0]!r} is no array")
    except OSError as error:
        reason = error.strerror or error
        raise ModelFileError(
            f"{path}: cannot be read: {reason}; give the path of checkpoint20.npz"
        ) from error
    except (ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        # TypeError, AttributeError: one array alone, which is no archive
        raise ModelFileError(f"{path}: is no .npz archive: {error}; copy it again") from error
    return g2p_graphs(Tensors(str(path), arrays))


def g2p_graphs(file: Tensors) -> tuple[Graph, Graph]:
    """Return the graphs (encoder, decoder) of these tensors.

    >>> g2p_graphs(Tensors("empty", {}))
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: empty: needs a tensor 'enc_emb' of 2 axes, got \
none; it is another architecture, or not whole
    """
    b = Builder("g2p_encoder")
    letters = b.input("letters", ("N", "T"), dtype="int32")
    _, state = _gru(b, file, letters, None, "enc", ("states", "state"))
    encoder = b.graph([state], meta={"source": "g2p-en"})
    b = Builder("g2p_decoder")
    phonemes = b.input("phonemes", ("N", "T"), dtype="int32")
    hidden = file.shape("dec_w_hh", 2)[1]
    state = b.input("state", ("N", 1, hidden))
    y, new = _gru(b, file, phonemes, state, "dec", ("states", "next_state"))
    y = b.node("Squeeze", [y], attributes={"axes": [2]}, name="outputs")
    size = (file.shape("dec_emb", 2)[0], hidden)
    logits = linear(b, file, y, size, weight="fc_w", bias="fc_b", name="logits")
    return encoder, b.graph([logits, new], meta={"source": "g2p-en"})


def _gru(
    b: Builder, file: Tensors, ids: str, state: str | None, part: str, outputs: tuple[str, str]
) -> tuple[str, ...]:
    rows, size = file.shape(f"{part}_emb", 2)
    hidden = file.shape(f"{part}_w_hh", 2)[1]
    table = b.constant(f"{part}_emb", file.take(f"{part}_emb", (rows, size)))
    x = b.node("Gather", [table, ids], name=f"{part}/embedding")
    w, r = (
        b.constant(name, _gates(file.take(name, (3 * hidden, columns)))[None])
        for name, columns in ((f"{part}_w_ih", size), (f"{part}_w_hh", hidden))
    )
    biases = [_gates(file.take(f"{part}_b_{side}", (3 * hidden,))) for side in ("ih", "hh")]
    bias = b.constant(f"{part}_b", np.concatenate(biases)[None])
    return b.node_with(
        "GRU",
        [x, w, r, bias, *(["", state] if state else [])],
        outputs,
        name=f"{part}/gru",
        attributes={"hidden_size": hidden, "layout": 1, "linear_before_reset": 1},
    )


def _gates(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return PyTorch's r, z, n as ONNX's z, r, h."""
    r, z, n = np.split(rows, 3)
    return np.concatenate([z, r, n])


def pronounce(
    graphs: tuple[Graph, Graph], words: list[str], *, sums: str = "ordered"
) -> list[list[str]]:
    """Return the phonemes of words of equal length; letters are a to z, in any case.

    `ValueError` where the model computes NaN.

    >>> pronounce((), ["ab", "c"])
    Traceback (most recent call last):
    ...
    ValueError: words must be at least one, of a to z, of equal length, got ['ab', 'c']
    """
    lower = [word.lower() for word in words]
    if len({len(word) for word in lower}) != 1 or not set("".join(lower)) <= set(LETTERS):
        raise ValueError(
            f"words must be at least one, of a to z, of equal length, got {words!r:.60}"
        )
    letters = [[LETTERS.index(letter) for letter in (*word, "</s>")] for word in lower]
    encoder, decoder = graphs
    state = run(encoder, {"letters": np.array(letters, np.int32)}, sums=sums)["state"]
    said: list[list[str]] = [[] for _ in words]
    latest, alive = np.full((len(words), 1), _START, np.int32), np.ones(len(words), bool)
    for _ in range(_MOST):
        step = run(decoder, {"phonemes": latest, "state": state}, sums=sums)
        if np.isnan(step["logits"]).any():  # else the first NaN would count as the largest
            raise ValueError(f"the model computes NaN for {words!r:.60}; mend it first")
        state, latest = step["next_state"], step["logits"].argmax(-1).astype(np.int32)
        alive &= latest[:, 0] != _STOP
        if not alive.any():
            break
        for i in np.flatnonzero(alive):
            said[i].append(PHONEMES[latest[i, 0]])
    return said
