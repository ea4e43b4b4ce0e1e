"""A folder of recordings as samples for Whisper: sound for the encoder, text for the decoder.

::

    a.wav                  16 kHz, one channel, 16 bits (`refquant.model.loaders.samples.read_wav`)
    a.txt                  what is said in it, for the decoder
    transcription          or one file for all, a line each:   <s> what is said </s> (a)

    encoder   a.wav --> log-mel (1, 80, 3000)
    decoder   a.wav --> log-mel --> float encoder --> audio;   a.txt --> tokens, position_ids

One recording is one sample, in the order of the names, cut or filled with silence to 30 s. The
decoder is shown what it reads while it writes a right text: the tokens that begin it, and the text,
but not the token that ends it, which it never reads. ``audio`` is computed in fast sums.

Left out: models for several languages, whose text begins with the language that is spoken.

References
----------
Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, section 2.3, for
what a text begins with; CMU Sphinx, for lines of ``transcription``.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refquant.model.execute import run
from refquant.model.graph import Graph, Node
from refquant.model.loaders.log_mel import RATE, SECONDS, log_mel
from refquant.model.loaders.samples import read_wav, token_inputs
from refquant.model.loaders.samples_text import check_rows, encoded, read_text
from refquant.model.loaders.text import Tokenizer

__all__ = ["decoder_samples", "encoder_samples", "find_recordings", "transcripts"]

Sample = dict[str, NDArray[np.float32] | NDArray[np.int32]]

_ENGLISH_ONLY = 51_864
"""Rows of the table of tokens; models for several languages have more."""


def find_recordings(
    folder: str | os.PathLike[str], *, samples: int | None = None
) -> tuple[Path, ...]:
    """Return the ``.wav`` files of ``folder``, by name; ``samples`` of them, evenly, or all.

    >>> find_recordings("no such folder")
    Traceback (most recent call last):
    ...
    ValueError: no such folder: holds no .wav files; give a folder of recordings
    """
    found = sorted(f for f in Path(folder).glob("*") if f.suffix.lower() == ".wav")
    if not found:
        raise ValueError(f"{folder}: holds no .wav files; give a folder of recordings")
    if samples is None:
        return tuple(found)
    if not 1 <= samples <= len(found):
        raise ValueError(
            f"{folder}: holds {len(found)} recordings, got samples = {samples}; ask for 1 to that"
        )
    return tuple(found[i * len(found) // samples] for i in range(samples))


def transcripts(recordings: Sequence[Path]) -> tuple[str, ...]:
    """Return what is said in each recording: of ``NAME.txt`` or of the file ``transcription``.

    >>> transcripts([Path("no such folder/a.wav")])
    Traceback (most recent call last):
    ...
    ValueError: no such folder/a.wav: nothing says what is spoken in it; write it to a.txt
    """
    lines: dict[Path, dict[str, str]] = {}
    said = []
    for path in recordings:
        own, together = path.with_suffix(".txt"), path.with_name("transcription")
        if own.is_file():
            said.append(" ".join(read_text(own).split()))
            continue
        if path.parent not in lines:
            lines[path.parent] = _lines(read_text(together)) if together.is_file() else {}
        if path.stem not in lines[path.parent]:
            raise ValueError(f"{path}: nothing says what is spoken in it; write it to {own.name}")
        said.append(lines[path.parent][path.stem])
    return tuple(said)


def _lines(text: str) -> dict[str, str]:
    """Return name to text of lines ``<s> text </s> (name)``; the marks may be missing."""
    found = re.findall(r"^(?:<s>)?(.*?)(?:</s>)?\s*\(([^()\s]+)\)\s*$", text, re.MULTILINE)
    return {name: said.strip() for said, name in found}


def encoder_samples(encoder: Graph, recordings: Sequence[Path]) -> list[Sample]:
    """Return the inputs of ``encoder`` for each recording, one a batch: ``mel`` (1, 80, 3000).

    `ValueError` for what is no such sound, and for an encoder that hears something else.

    >>> from refquant.model.build import Builder
    >>> b = Builder("ear")
    >>> ear = b.graph([b.node("Relu", [b.input("mel", ("N", 80, 3000))], name="audio")])
    >>> encoder_samples(ear, [Path("no such.wav")])
    Traceback (most recent call last):
    ...
    ValueError: no such.wav: cannot be read: no such file or directory; give a .wav file
    """
    return [{"mel": _mel(encoder, read_wav(path))} for path in recordings]


def decoder_samples(
    encoder: Graph, decoder: Graph, tokenizer: Tokenizer, recordings: Sequence[Path]
) -> list[Sample]:
    """Return the inputs of ``decoder`` for each recording, one a batch, as long as its text.

    ``encoder``, the float one, makes ``audio``. `ValueError` for a recording without text, or one
    that is longer than what the encoder hears.

    >>> from refquant.model.build import Builder
    >>> b = Builder("ear")
    >>> ear = b.graph([b.node("Relu", [b.input("mel", ("N", 80, 3000))], name="audio")])
    >>> decoder_samples(ear, ear, None, [])
    Traceback (most recent call last):
    ...
    ValueError: the model's inputs are ['mel']; it is no decoder
    """
    if list(decoder.inputs) != ["audio", "tokens", "position_ids"]:
        raise ValueError(f"the model's inputs are {list(decoder.inputs)}; it is no decoder")
    rows = max(decoder.values[node.inputs[0]].shape[0] for node in _reads(decoder, "tokens"))
    if int(rows) > _ENGLISH_ONLY:
        raise ValueError(
            f"the model has {rows} tokens: it speaks several languages, and recordings do not say "
            "which; make an .npz with audio, tokens and position_ids"
        )
    made: list[Sample] = []
    for path, said in zip(recordings, transcripts(recordings), strict=True):
        framed, sound = encoded(tokenizer, f" {said}"), read_wav(path)
        if len(sound) > SECONDS * RATE:
            raise ValueError(f"{path}: is longer than {SECONDS} s; cut it, and its text")
        if not framed.before:
            raise ValueError("the tokenizer begins no text; give the model's own tokenizer.json")
        ids = np.array([[*framed.before, *framed.ids]], np.int32)
        tokens = token_inputs(decoder, ids)
        check_rows(decoder, tokens)
        audio = run(encoder, {"mel": _mel(encoder, sound)}, sums="blas")["audio"]
        made.append({"audio": audio, **tokens})
    return made


def _mel(encoder: Graph, sound: NDArray[np.float32]) -> NDArray[np.float32]:
    mel = log_mel(sound)
    wanted = [encoder.values[name].shape[1:] for name in encoder.inputs]
    if encoder.inputs != ("mel",) or wanted != [mel.shape[1:]]:
        shapes = {name: list(encoder.values[name].shape) for name in encoder.inputs}
        raise ValueError(
            f"recordings are for a model that hears mel [N, 80, 3000], got inputs {shapes}; "
            "give arrays for this one"
        )
    return mel


def _reads(graph: Graph, name: str) -> list[Node]:
    return [node for node in graph.nodes if node.op == "Gather" and node.inputs[1] == name]
