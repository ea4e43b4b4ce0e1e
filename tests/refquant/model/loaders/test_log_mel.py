"""The ear: triangles, and a tone is loud where it should be."""

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.loaders.log_mel import RATE, log_mel, mel_filters


def test_a_tone_is_loudest_in_the_band_that_holds_it() -> None:
    bands = mel_filters()
    for hertz in (200, 1000, 3000, 7000):
        tone = np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE).astype(np.float32)
        heard = log_mel(tone)
        assert heard.shape == (1, 80, 3000), "80 bands, 100 times a second"
        loudest = int(heard[0, :, 50].argmax())
        assert loudest == int(bands[:, hertz // 40].argmax()), f"{hertz} Hz in band {loudest}"
        assert heard[0, :, 200].max() < heard[0, :, 50].max(), "then silence"


def test_triangles_overlap_and_hold_every_bin_between_the_ends() -> None:
    bands = mel_filters()
    assert (bands.sum(axis=0)[1:-1] > 0).all(), "no tone falls between two bands"
    assert ((bands > 0).sum(axis=0) <= 2).all(), "two neighbours at most"
    centres = bands.argmax(axis=1)
    assert (np.diff(centres) >= 0).all(), "in ascending order"


def test_levels_span_at_most_two() -> None:
    heard = log_mel(np.random.default_rng(0).standard_normal(RATE).astype(np.float32))
    assert float(heard.max() - heard.min()) <= 2.0, "8 decades, divided by 4"


def test_other_sound_is_refused() -> None:
    two, broken = np.zeros((2, 5), np.float32), np.array([1, np.nan], np.float32)
    sounds: list[NDArray[np.float32]] = [two, broken]
    for sound in sounds:
        with pytest.raises(ValueError, match="one channel of finite numbers"):
            log_mel(sound)
