"""The files the demo carries are the ones that were measured."""

import hashlib
import math
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.rq import read_rq

U8 = npt.NDArray[np.uint8]

ASSETS = Path(str(files("refquant.cli"))) / "assets"
SAMPLE = ASSETS / "fashion_mnist_sample.npz"
SHA256 = {
    "fashion_cnn.rq": "7922ecd46a178ad69ffac5122823b4878365119cedc27fae37b52c9a3b964e09",
    "fashion_mnist_sample.npz": "4bd5fee3c798bf633d5c148a6c61cd18e9cf70175c30c8ed69a497bb94c79857",
}
SIZE_LIMIT = {"fashion_mnist_sample.npz": 1_500_000, "fashion_cnn.rq": 600_000}
FIRST_FIFTY = 48  # correct guesses
COUNTS = {"calibration": 256, "test": 2_000}


@pytest.fixture(scope="module")
def sample() -> dict[str, U8]:
    with np.load(SAMPLE, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.fixture(scope="module")
def model() -> Graph:
    return read_rq(ASSETS / "fashion_cnn.rq")


@pytest.mark.parametrize("name", sorted(SHA256))
def test_file_is_the_one_that_was_measured(name: str) -> None:
    data = (ASSETS / name).read_bytes()
    assert hashlib.sha256(data).hexdigest() == SHA256[name], f"{name} was changed or re-made"


@pytest.mark.parametrize("name", sorted(SIZE_LIMIT))
def test_file_is_small_enough_for_a_wheel(name: str) -> None:
    size = (ASSETS / name).stat().st_size
    assert size <= SIZE_LIMIT[name], f"{name} has {size} bytes"


def test_sample_holds_exactly_the_four_arrays(sample: dict[str, U8]) -> None:
    expected = {
        f"{part}_{kind}": ((count, 28, 28) if kind == "images" else (count,), "uint8")
        for part, count in COUNTS.items()
        for kind in ("images", "labels")
    }
    found = {name: (array.shape, str(array.dtype)) for name, array in sample.items()}
    assert found == expected, "an array is missing, renamed or of another shape or dtype"


@pytest.mark.parametrize("part", sorted(COUNTS))
def test_classes_take_turns_so_every_prefix_is_balanced(sample: dict[str, U8], part: str) -> None:
    labels = sample[f"{part}_labels"]
    turns = np.arange(labels.size) % 10
    assert labels.tolist() == turns.tolist(), "the labels are not 0, 1, ..., 9, 0, 1, ..."


def test_no_image_occurs_twice(sample: dict[str, U8]) -> None:
    images = [*sample["calibration_images"], *sample["test_images"]]
    distinct = {image.tobytes() for image in images}
    assert len(distinct) == len(images), "calibration and test overlap, or an image is repeated"


def test_pixels_use_the_whole_range(sample: dict[str, U8]) -> None:
    for part in COUNTS:
        images = sample[f"{part}_images"]
        assert (images.min(), images.max()) == (0, 255), f"{part}: pixels are not plain uint8 grey"


def test_model_is_float_and_its_batch_norms_are_not_folded(model: Graph) -> None:
    dtypes = {value.dtype for value in model.values.values()}
    assert dtypes == {"float32"}, "the shipped model is the float one"
    ops = [node.op for node in model.nodes]
    assert ops.count("BatchNormalization") == ops.count("Conv") == 9, "folding would have no work"


def test_model_needs_under_three_million_products_an_image(model: Graph) -> None:
    products = 0
    for node in model.nodes:
        if node.op in ("Conv", "Gemm"):
            plane = model.values[node.outputs[0]].shape[2:]
            products += model.constants[node.inputs[1]].size * math.prod(map(int, plane))
    assert products == 2_663_744, "assets/README.md states this number"


def test_model_recognizes_the_first_fifty_images(model: Graph, sample: dict[str, U8]) -> None:
    x = sample["test_images"][:50, None].astype(np.float32) / np.float32(255)
    guesses = run(model, {"x": x})["y"].argmax(axis=1)
    correct = int(np.sum(guesses == sample["test_labels"][:50]))
    assert correct == FIRST_FIFTY, "the arithmetic is exact, so this count cannot drift"


def test_data_set_and_licence_are_credited() -> None:
    text = (ASSETS / "README.md").read_text(encoding="utf-8")
    for phrase in ("Zalando SE", "MIT License", "arXiv:1708.07747", *SIZE_LIMIT):
        assert phrase in text, f"assets/README.md does not say {phrase!r}"
