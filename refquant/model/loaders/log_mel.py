r"""Sound as Whisper hears it: 80 bands, 100 times a second, in logarithms.

With frames of 400 samples every 160 (25 and 10 ms at 16 kHz), half a frame of reflected sound at
each end, a periodic Hann window h, and F the magnitudes of the discrete Fourier transform:

.. math::

    P_{kt} &= \Bigl|\sum_{n=0}^{399} h_n\, x_{160 t + n}\, e^{-2 \pi i k n / 400}\Bigr|^2,
        \qquad k = 0 \ldots 200                                                       \tag{1} \\
    l_{bt} &= \log_{10} \max(10^{-10}, \textstyle\sum_k M_{bk} P_{kt})                \tag{2} \\
    y_{bt} &= (\max(l_{bt}, \max l - 8) + 4) / 4                                      \tag{3}

M holds triangles on Slaney's mel scale (linear to 1 kHz, 27 steps an octave-like factor of 6.4
above), each divided by half its width in Hz. Sound is cut or filled with silence to 30 s.

This is the model's ear, not its arithmetic: float64, NumPy's transform, in no file and under no
promise of equal bits.

References
----------
github.com/openai/whisper, ``audio.py``, for the sizes and eqs. (2) and (3); Slaney, "Auditory
Toolbox", 1998, for the scale.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["RATE", "SECONDS", "log_mel", "mel_filters"]

RATE, SECONDS = 16_000, 30
_FRAME, _HOP, _BANDS = 400, 160, 80
_LINEAR, _BREAK, _STEP = 200 / 3, 1000.0, np.log(6.4) / 27  # Hz a mel, Hz, log a mel


def mel_filters() -> NDArray[np.float64]:
    """Return M of eq. (2), (80, 201).

    >>> filters = mel_filters()
    >>> filters.shape, bool((filters >= 0).all())
    ((80, 201), True)
    """
    top = _BREAK / _LINEAR + np.log(RATE / 2 / _BREAK) / _STEP
    mels = np.linspace(0.0, top, _BANDS + 2)
    knee = _BREAK / _LINEAR
    above = _BREAK * np.exp(_STEP * np.maximum(mels - knee, 0))
    edges = np.where(mels < knee, mels * _LINEAR, above)
    at = np.arange(_FRAME // 2 + 1) * (RATE / _FRAME)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((at - low) / (middle - low), (high - at) / (high - middle))
    weights: NDArray[np.float64] = np.maximum(triangles, 0) * (2 / (high - low))
    return weights


def log_mel(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return eq. (3), (1, 80, 3000), of mono ``sound`` at 16 kHz in [-1, 1].

    >>> log_mel(np.zeros(16000, np.float32))[0, 0, :2].tolist()
    [-1.5, -1.5]
    """
    if sound.ndim != 1 or not np.isfinite(sound).all():
        raise ValueError(
            f"sound must be one channel of finite numbers at {RATE} Hz, got {sound.shape}"
        )
    samples = np.zeros(RATE * SECONDS)
    samples[: len(sound)] = sound[: len(samples)]
    around = np.pad(samples, _FRAME // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(around, _FRAME)[::_HOP][:-1]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME) / _FRAME)
    power = np.abs(np.fft.rfft(frames * hann)) ** 2
    levels = np.log10(np.maximum(mel_filters() @ power.T, 1e-10))
    y: NDArray[np.float64] = (np.maximum(levels, levels.max() - 8) + 4) / 4
    return y[None].astype(np.float32)
