"""Speech enough to calibrate Whisper: passages of a book, read aloud by a program.

A layer with 1,536 inputs needs some thousand tokens, and the recordings that packages carry have
82. So a speech synthesizer (Flite: four voices, made of recordings of four people) reads::

    book --> passages of whole sentences --> 18 to 29 s of sound each, and its text
             at least 55 words, at most 400 characters: what Whisper hears at once
             plain prose only: no figures in columns, no brackets, no footnotes

Passages lie evenly over the book and the voices take turns. Flite runs as WebAssembly (`say.cjs`),
whose arithmetic is the same everywhere, so the sound is, bit for bit. Whisper understands it well:
0.26 nats a token of the book's own text.

Its decoder is then shown what it reads while it writes such a text: the float encoder's ``audio``,
and the first `TOKENS` tokens, as many of each passage, so that one array holds all.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.results.subjects import ASSETS
from refquant.model.loaders.samples import read_wav
from refquant.model.loaders.samples_sound import decoder_samples, find_recordings
from refquant.model.loaders.text import read_tokenizer
from refquant.model.loaders.whisper_ct2 import load_whisper

__all__ = ["TOKENS", "VOICES", "passages", "prompts", "read_aloud"]

VOICES = ("slt", "rms", "awb", "kal16")
LEAST, MOST = 55, 400
TOKENS = 64
SECONDS = 30
RATE = 16_000

_WHISPER = ASSETS / "whisper_tiny_en"
_PRINTED = str.maketrans({"—": ", ", "’": "'", "‘": "'", "“": '"', "”": '"', "_": ""})  # noqa: RUF001  # what books print


def passages(text: str) -> list[str]:
    """Return runs of whole sentences of ``text``, `LEAST` words to `MOST` characters each.

    >>> passages("Call me Ishmael. " * 40)[0].split()[-1], len(passages("Call me Ishmael. " * 40))
    ('Ishmael.', 2)
    >>> passages("He was (they said) not. " * 20)
    []
    """
    found, part = [], list[str]()
    for sentence in re.split(r"(?<=[.!?])\s+(?=[\"'A-Z])", text.translate(_PRINTED)):
        part += sentence.split()
        if len(part) < LEAST:
            continue
        passage = " ".join(part)
        if len(passage) <= MOST and re.fullmatch(r"[A-Za-z0-9 ,.;:'\"!?-]+", passage):
            found.append(passage)
        part = []
    return found


def read_aloud(book: Path, folder: Path, count: int) -> None:
    """Write ``count`` passages of ``book`` to ``folder``, NNN.wav and NNN.txt, unless they are.

    SystemExit without Node, without Flite, and for a passage that is longer than Whisper listens.
    """
    done = folder / "made.json"
    if done.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = passages(book.read_text())
    chosen = [found[i * len(found) // count] for i in range(count)]
    jobs = [
        {"voice": VOICES[i % len(VOICES)], "text": text, "file": f"{i:03}.wav"}
        for i, text in enumerate(chosen)
    ]
    _say(jobs, folder)
    for job in jobs:
        path = folder / job["file"]
        seconds = len(read_wav(path)) / RATE
        if seconds > SECONDS:
            raise SystemExit(f"{path}: {seconds:.1f} s are more than the {SECONDS} of Whisper")
        path.with_suffix(".txt").write_text(job["text"] + "\n")
    done.write_text(json.dumps(jobs, indent=1))


def _say(jobs: list[dict[str, str]], folder: Path) -> None:
    program = ASSETS / "flite/flite.wasm"
    if not program.exists():
        raise SystemExit(f'{program} is not there; run `make assets WANT="flite"`')
    if shutil.which("node") is None:
        raise SystemExit("there is no node on this machine, which reads texts aloud; install it")
    script = Path(__file__).with_name("say.cjs")
    options = ["--no-warnings", "--expose-gc"]
    command = ["node", *options, str(script), str(program), str(folder)]
    subprocess.run(command, input=json.dumps(jobs), text=True, check=True)


def prompts(folder: Path, target: Path) -> None:
    """Write what the decoder reads of ``folder``'s recordings, an ``.npz``, unless it is there."""
    if target.exists():
        return
    encoder, decoder = load_whisper(_WHISPER / "model.bin")
    tokenizer = read_tokenizer(_WHISPER / "tokenizer.json")
    recordings = find_recordings(folder)
    arrays: dict[str, list[NDArray[Any]]] = {"audio": [], "tokens": [], "position_ids": []}
    for recording in recordings:
        (sample,) = decoder_samples(encoder, decoder, tokenizer, [recording])
        if sample["tokens"].shape[1] < TOKENS:
            raise SystemExit(f"{recording}: its text has fewer than {TOKENS} tokens")
        arrays["audio"].append(sample["audio"])
        for name in ("tokens", "position_ids"):
            arrays[name].append(sample[name][:, :TOKENS])
    temporary = target.with_suffix(".tmp.npz")
    whole: dict[str, Any] = {name: np.concatenate(parts) for name, parts in arrays.items()}
    np.savez(temporary, **whole)
    temporary.replace(target)
