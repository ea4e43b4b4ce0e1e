"""What a model is shown: pieces of a text as tokens, and sound from WAV files.

A text of L tokens holds L // C whole pieces of C tokens, one after the other; what is left over at
the end is not used. Fewer pieces than there are lie evenly over the text::

    text    | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | .     L // C = 8 pieces
    3 of 8    x       x           x                 piece i of n is number  i (L // C) // n

So the same text always gives the same samples, and no token is in two of them.

Left out: padding (every piece is full, so no mask hides anything), resampling, stereo.

References
----------
WAVE: IBM, Microsoft, "Multimedia Programming Interface and Data Specifications 1.0", 1991, as
Python's module ``wave`` reads it.
"""

import os
import wave
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import Graph
from refquant.model.loaders.log_mel import RATE

__all__ = ["TOKENS", "read_wav", "text_windows", "token_input", "token_inputs"]

I32 = NDArray[np.int32]

TOKENS = ("input_ids", "tokens", "letters", "phonemes")
"""What the loaders call the input that holds the tokens; a graph has at most one of them."""


def text_windows(ids: Sequence[int], *, context: int, samples: int | None) -> I32:
    """Return ``samples`` pieces of ``context`` tokens of the text ``ids``, (samples, context).

    ``samples`` None takes all whole pieces. `ValueError` where the text has fewer.

    >>> text_windows(range(9), context=2, samples=None).tolist()
    [[0, 1], [2, 3], [4, 5], [6, 7]]
    >>> text_windows(range(9), context=2, samples=2).tolist()
    [[0, 1], [4, 5]]
    """
    if context < 1 or (samples is not None and samples < 1):
        raise ValueError(f"context and samples must be at least 1, got {context} and {samples}")
    text = np.asarray(ids, np.int32)
    whole = text.size // context
    wanted = 1 if samples is None else samples
    if whole < wanted:
        raise ValueError(
            f"the text has {text.size:,} tokens: {whole} whole pieces of {context}, and {wanted} "
            "are wanted; give a longer text, fewer samples or a shorter context"
        )
    pieces = text[: whole * context].reshape(whole, context)
    return pieces if samples is None else pieces[np.arange(samples) * whole // samples]


def token_input(graph: Graph) -> str:
    """Return the name of the graph's input of tokens; `ValueError` for a graph without.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> ids = b.input("tokens", ("N", "T"), dtype="int32")
    >>> token_input(b.graph([b.node("Cast", [ids], attributes={"to": 1}, name="y")]))
    'tokens'
    """
    found = [name for name in TOKENS if name in graph.inputs]
    if len(found) != 1:
        raise ValueError(
            f"the model's inputs are {list(graph.inputs)}; text is for a model with one of "
            f"{', '.join(TOKENS)}"
        )
    return found[0]


def token_inputs(graph: Graph, ids: I32) -> dict[str, I32]:
    """Return the graph's inputs that follow from the tokens ``ids``, (n, t), none of them padding.

    Its input of tokens, and those of ``attention_mask`` (1), ``token_type_ids`` (0) and
    ``position_ids`` (0 to t - 1) that it has; any other input is the caller's. `ValueError` for
    a graph without tokens.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> names = [b.input(n, ("N", "T"), dtype="int32") for n in ("tokens", "position_ids")]
    >>> x = [b.node("Cast", [n], attributes={"to": 1}, name=f"{n}/real") for n in names]
    >>> g = b.graph([b.node("Add", x, name="y")])
    >>> {n: a.tolist() for n, a in token_inputs(g, np.array([[5, 7]], np.int32)).items()}
    {'tokens': [[5, 7]], 'position_ids': [[0, 1]]}
    """
    tokens = token_input(graph)
    ids = np.asarray(ids, np.int32)
    if ids.ndim != 2 or not ids.size:
        raise ValueError(f"ids must be (samples, tokens), not empty, got {list(ids.shape)}")
    places = np.broadcast_to(np.arange(ids.shape[1], dtype=np.int32), ids.shape)
    made = {
        tokens: ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
        "position_ids": places.copy(),
    }
    return {name: made[name] for name in graph.inputs if name in made}


def read_wav(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Return the sound of a WAV file, float32 (n,) in [-1, 1): 16 kHz, one channel, 16 bits.

    A sample is its integer divided by 32,768, exactly. `ValueError` for anything else.

    >>> read_wav("no such file")
    Traceback (most recent call last):
    ...
    ValueError: no such file: cannot be read: no such file or directory; give a .wav file
    """
    try:
        with open(path, "rb") as raw, wave.open(raw) as file:
            got = (file.getframerate(), file.getnchannels(), 8 * file.getsampwidth())
            frames, data = file.getnframes(), file.readframes(file.getnframes())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"{path}: cannot be read: {reason}; give a .wav file") from error
    except (wave.Error, EOFError) as error:
        reason = str(error) or "it ends too early"
        raise ValueError(f"{path}: is no WAV file: {reason}; give one of PCM") from error
    if got != (RATE, 1, 16):
        raise ValueError(
            f"{path}: must be {RATE:,} Hz, one channel, 16 bits, got {got[0]:,} Hz, {got[1]} "
            f"and {got[2]}; convert it, for example: sox in.wav -r 16000 -c 1 -b 16 out.wav"
        )
    if not frames or len(data) != 2 * frames:
        raise ValueError(
            f"{path}: must hold sound, and says {frames} samples but has {len(data) // 2}; copy it "
            "again"
        )
    sound: NDArray[np.float32] = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
    return sound
