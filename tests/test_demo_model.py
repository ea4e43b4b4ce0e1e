"""The promises about the demo's model, on all 2,000 images: the same bits everywhere, and accuracy.

The only test that sees reference, file format and runtime at once on a real model.
"""

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.ends import to_inputs
from refquant.model.execute import run
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.model.rq import read_rq, rq_bytes, write_rq
from refquant_runtime import Session, isa

INTEGER_SCHEMES = (
    "w8a8_static_per_channel",
    "w8a8_static_per_tensor",
    "w8a8_tflite",
    "w8a8_full_integer",
)
OTHER_SCHEMES = (
    "float32",
    "w8a8_dynamic",
    "w8_weight_only",
    "w4_group32_weight_only",
    "w2_group16_weight_only",
)
ASSETS = resources.files("refquant.cli") / "assets"


@cache
def images(kind: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images as the network takes them, and their labels."""
    with resources.as_file(ASSETS / "fashion_mnist_sample.npz") as path, np.load(path) as data:
        pixels = data[f"{kind}_images"].reshape(-1, 1, 28, 28)
        return pixels.astype(np.float32) / np.float32(255), data[f"{kind}_labels"].astype(np.int64)


@cache
def reference(scheme: str, samples: int) -> tuple[bytes, NDArray[Any]]:
    """The quantized file's bytes and the golden outputs: reals, or the codes of full_integer."""
    with resources.as_file(ASSETS / "fashion_cnn.rq") as path:
        model = read_rq(path)
    graph = quantize(model, recipe(scheme), {"x": images("calibration")[0]})
    outputs = run(graph, to_inputs(graph, {"x": images("test")[0][:samples]}))
    return rq_bytes(graph), outputs[graph.outputs[0]]


@pytest.mark.parametrize("path", isa.available())
@pytest.mark.parametrize("scheme", INTEGER_SCHEMES)
def test_integer_schemes_are_bit_exact_on_all_images(
    scheme: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFQUANT_ISA", path)
    compare(scheme, 2000, tmp_path)


@pytest.mark.parametrize("scheme", OTHER_SCHEMES)
def test_float_and_dynamic_schemes_are_bit_exact_too(scheme: str, tmp_path: Path) -> None:
    compare(scheme, 200, tmp_path)


def compare(scheme: str, samples: int, folder: Path) -> None:
    """One and two threads, twice each, against the reference."""
    data, expected = reference(scheme, samples)
    file = folder / f"{scheme}.rq"
    file.write_bytes(data)
    feeds = to_inputs(read_rq(file), {"x": images("test")[0][:samples]})
    for threads in (1, 2):
        session = Session(file, threads=threads)
        for repeat in range(2):
            actual = next(iter(session.run(feeds).values()))
            assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape), f"{scheme}"
            bits = np.dtype(f"i{expected.itemsize}")
            different = np.count_nonzero(actual.view(bits) != expected.view(bits))
            assert different == 0, (
                f"{scheme}, {session.isa}, {threads} threads, run {repeat}: "
                f"{different} of {expected.size} outputs differ from the reference"
            )
        session.close()


def test_int8_per_channel_loses_at_most_half_a_point() -> None:
    labels = images("test")[1]
    accuracy = {
        scheme: 100 * float((reference(scheme, 2000)[1].argmax(axis=1) == labels).mean())
        for scheme in ("float32", "w8a8_static_per_channel")
    }
    assert accuracy["float32"] >= 90.0, f"the float model has {accuracy['float32']} % top-1"
    drop = accuracy["float32"] - accuracy["w8a8_static_per_channel"]
    assert drop <= 0.5, f"int8 per channel loses {drop} points: {accuracy}"


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    data, _ = reference("w8a8_static_per_channel", 2000)
    file = tmp_path / "again.rq"
    file.write_bytes(data)
    write_rq(tmp_path / "twice.rq", read_rq(file))
    assert (tmp_path / "twice.rq").read_bytes() == data, "reading and writing changed the file"
