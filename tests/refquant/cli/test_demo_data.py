"""What the demo works on."""

import numpy as np
import pytest

from refquant.cli.demo_data import TEST_IMAGES, load_demo


@pytest.mark.parametrize("samples", [1, 7, TEST_IMAGES])
def test_the_arrays_are_for_the_network(samples: int) -> None:
    data = load_demo(samples)
    assert data.graph.inputs == (data.input,), "one input"
    assert data.x.shape == (samples, 1, 28, 28), f"{data.x.shape}"
    assert data.x.dtype == data.calibration.dtype == np.float32, "the model is float32"
    assert data.calibration.shape == (256, 1, 28, 28), f"{data.calibration.shape}"
    assert data.labels.shape == (samples,), f"{data.labels.shape}"


def test_a_pixel_is_a_255th() -> None:
    x = load_demo(TEST_IMAGES).x
    pixels = np.unique(x)
    expected = np.arange(256, dtype=np.float32) / np.float32(255)
    assert np.array_equal(pixels, expected), "one division in float32 a pixel"
