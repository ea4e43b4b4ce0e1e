"""Data as the commands take them: images as arrays, each recording with its text beside it.

Recordings are in two halves: what a model is calibrated with, it is not measured on.
"""

from __future__ import annotations

import re
import shutil

import numpy as np

from examples.results.subjects import ASSETS, DATA, ROOT

__all__ = ["prepare"]

CALIBRATING = ("0870", "0930")
"""The two longest of the five recordings of LibriVox."""


def prepare() -> None:
    """Write all of it to `subjects.DATA`."""
    DATA.mkdir(exist_ok=True)
    _images()
    recordings = ASSETS / "librivox"
    lines = (recordings / "transcription").read_text().splitlines()
    for line in lines:
        found = re.fullmatch(r"<s> (.*) </s> \((.*)\)", line.strip())
        if found is None:
            raise SystemExit(f"{recordings}: a line of the transcription is odd: {line!r:.80}")
        text, name = found.groups()
        folder = DATA / ("heard_before" if name.endswith(CALIBRATING) else "heard")
        folder.mkdir(exist_ok=True)
        shutil.copyfile(recordings / f"{name}.wav", folder / f"{name}.wav")
        (folder / f"{name}.txt").write_text(f"{text}\n")


def _images() -> None:
    sample = np.load(ROOT / "refquant/cli/assets/fashion_mnist_sample.npz")
    for target, images, count in (("calibration", "calibration", 256), ("test", "test", 500)):
        pixels = sample[f"{images}_images"][:count, None].astype(np.float32) / np.float32(255)
        arrays = {"x": pixels}
        if target == "test":
            arrays["labels"] = sample["test_labels"][:count]
        np.savez(DATA / f"{target}.npz", **arrays)
