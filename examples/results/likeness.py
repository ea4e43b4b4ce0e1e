"""KL and NLL of a quantized pair, as ``refquant evaluate --metric kl`` gives them, sooner.

The command computes the float pair's scores again for every model; here they are kept, which is
half of the work of a page with 24 pairs. `tests/models/test_results.py` asks the command, too.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.results.subjects import WHISPER
from refquant.evaluation.decoded import decoded_weights
from refquant.evaluation.divergence import divergence
from refquant.evaluation.nll import token_nll
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.loaders.log_mel import log_mel
from refquant.model.loaders.samples import read_wav, token_inputs
from refquant.model.loaders.samples_sound import find_recordings, transcripts
from refquant.model.loaders.samples_text import encoded
from refquant.model.loaders.text import read_tokenizer
from refquant.model.loaders.whisper_ct2 import load_whisper
from refquant.model.rq import read_rq

__all__ = ["likeness"]

Scores = tuple[NDArray[np.float32], ...]


def likeness(folder: Path, audio: Path) -> dict[str, Any]:
    """Return KL (``value``) and NLL (``nll``) of ``folder``'s encoder.rq and decoder.rq.

    ``each``: for each recording its tokens, and the KL of all of them together.
    """
    theirs = _float_scores(audio)
    ours = _scores(read_rq(folder / "encoder.rq"), read_rq(folder / "decoder.rq"), audio)
    texts = [ids[first:] for ids, first in _texts(audio)]
    found = [divergence(a, b).nats.tolist() for a, b in zip(theirs, ours, strict=True)]
    nats = [x for one in found for x in one]
    nll = [x for a, ids in zip(ours, texts, strict=True) for x in token_nll(a, ids).tolist()]
    return {
        "value": math.fsum(nats) / len(nats),
        "nll": math.fsum(nll) / len(nll),
        "each": [[len(one), math.fsum(one)] for one in found],
    }


@lru_cache(maxsize=4)
def _float_scores(audio: Path) -> Scores:
    return _scores(*load_whisper(Path(WHISPER) / "model.bin"), audio)


def _scores(encoder: Graph, decoder: Graph, audio: Path) -> Scores:
    """Return the scores (tokens, V) along what is said in each recording, and its end."""
    pair, found = (decoded_weights(encoder), decoded_weights(decoder)), list[NDArray[np.float32]]()
    for path, (ids, first) in zip(find_recordings(audio), _texts(audio), strict=True):
        heard = run(pair[0], {"mel": log_mel(read_wav(path))}, sums="blas")["audio"]
        inputs = {**token_inputs(pair[1], ids[None]), "audio": heard}
        found.append(run(pair[1], inputs, sums="blas")["logits"][0, first - 1 : -1])
    return tuple(found)


def _texts(audio: Path) -> list[tuple[NDArray[np.int32], int]]:
    """Return the tokens of each text with what frames it, and how many come before it."""
    tokenizer = read_tokenizer(Path(WHISPER) / "tokenizer.json")
    made = []
    for said in transcripts(find_recordings(audio)):
        frame = encoded(tokenizer, f" {said}")
        ids = np.array([*frame.before, *frame.ids, *frame.after], np.int32)
        made.append((ids, len(frame.before)))
    return made
