"""Data as the commands take them: images as arrays, each recording with its text beside it.

What a model is calibrated with, it is not measured on: Whisper is calibrated with a novel, read
aloud (`examples.results.speech`), and measured on recordings of people, and on a speech read aloud.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np

from examples.results.speech import prompts, read_aloud
from examples.results.subjects import ASSETS, DATA, NOVEL, ROOT, SPEECH, WHISPER

__all__ = ["prepare"]

CALIBRATING, MEASURED = 128, 10
"""Passages: of the novel, of the speech."""


def prepare(subjects: Collection[str]) -> None:
    """Write what ``subjects`` need to `subjects.DATA`; speech takes five minutes, once."""
    DATA.mkdir(exist_ok=True)
    if "fashion_cnn" in subjects:
        _images()
    if "whisper" in subjects:
        read_aloud(Path(NOVEL), DATA / "read_before", CALIBRATING)
        read_aloud(Path(SPEECH), DATA / "read", MEASURED)
        prompts(DATA / "read_before", DATA / "decoder_calibration.npz")
        _heard(DATA / "heard")


def _heard(folder: Path) -> None:
    """Write the real recordings, each with what the float model writes of it."""
    if (folder / "made.json").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    recordings = ASSETS / "librivox"
    command = [sys.executable, "-m", "refquant.cli", "evaluate", WHISPER, "--json"]
    command += ["--metric", "wer", "--audio", str(recordings)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    found = json.loads(done.stdout)["transcripts"]
    for each in found:
        name = each["recording"]
        shutil.copyfile(recordings / name, folder / name)
        (folder / name).with_suffix(".txt").write_text(f"{each['heard']}\n")
    (folder / "made.json").write_text(json.dumps(found, indent=1))


def _images() -> None:
    sample = np.load(ROOT / "refquant/cli/assets/fashion_mnist_sample.npz")
    for target, images, count in (("calibration", "calibration", 256), ("test", "test", 500)):
        pixels = sample[f"{images}_images"][:count, None].astype(np.float32) / np.float32(255)
        arrays = {"x": pixels}
        if target == "test":
            arrays["labels"] = sample["test_labels"][:count]
        np.savez(DATA / f"{target}.npz", **arrays)
