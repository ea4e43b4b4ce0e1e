"""What the demo works on: a small network and images that travel in the package.

Pixels become ``x = pixel / 255``, float32 of shape (samples, 1, 28, 28). See assets/README.md for
where the images come from, and how the network was trained.
"""

from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.cli.data import read_npz
from refquant.model.graph import Graph
from refquant.model.rq import read_rq

__all__ = ["TEST_IMAGES", "DemoData", "load_demo"]

TEST_IMAGES = 2000


@dataclass(frozen=True, slots=True)
class DemoData:
    """The float ``graph``, its only input's name, and arrays for that input."""

    graph: Graph
    input: str
    calibration: NDArray[np.float32]
    x: NDArray[np.float32]
    labels: NDArray[np.int64]


def load_demo(samples: int) -> DemoData:
    """Return the demo's network and its first ``samples`` test images."""
    with as_file(files("refquant.cli") / "assets") as assets:
        graph = read_rq(assets / "fashion_cnn.rq")
        names = ("calibration_images", "test_images", "test_labels")
        arrays = read_npz(assets / "fashion_mnist_sample.npz", names)
    return DemoData(
        graph=graph,
        input=graph.inputs[0],
        calibration=_pixels(arrays["calibration_images"]),
        x=_pixels(arrays["test_images"][:samples]),
        labels=arrays["test_labels"][:samples].astype(np.int64),
    )


def _pixels(images: NDArray[Any]) -> NDArray[np.float32]:
    x: NDArray[np.float32] = images[:, None].astype(np.float32) / np.float32(255)
    return x
