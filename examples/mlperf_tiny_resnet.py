r"""MLPerf Tiny's image classifier from its Keras file: a float `.rq` model and its data.

The need: the int8 model that a benchmark ships was made from a float one by somebody's converter.
The float file is here too, so ours can be made from the same weights and both be compared.

A Keras ``.h5`` is a table of contents, JSON in the attribute ``model_config``, and weights by the
name of their layer. The layers are followed in order; what each becomes::

    Conv2D                     Conv, kernel (h, w, in, out) -> (out, in, h, w), equation (1)
    BatchNormalization         BatchNormalization: folding is the quantizer's work
    Activation relu, Add       Relu, Add
    AveragePooling2D, Flatten  AveragePool, Flatten
    Dense, softmax             Gemm, Softmax

Images are (channel, row, column) here and (row, column, channel) there; the pool leaves one pixel,
so that flattening is the same in both. Padding "same" has its larger half at the end:

.. math::

    p = \max((\lceil i / s \rceil - 1) s + k - i,\ 0), \quad
    p_{begin} = \lfloor p / 2 \rfloor, \quad p_{end} = p - p_{begin}                       \tag{1}

    x = (\text{pixel} - 128) / 128                                                         \tag{2}

Example, from the root of the repository (it needs ``h5py`` and ``pillow``)::

    python examples/assets/fetch.py mlperf_tiny photos calibration_photos
    python examples/mlperf_tiny_resnet.py -o work/resnet

writes ``resnet.rq``, ``calibration.npz`` and ``test.npz``. No other CIFAR pictures are at hand than
the 20 that are tested on: ranges come from pieces of larger photos, made as small as those.

Sources: Keras 2.4's ``saving/hdf5_format.py`` for the layout; (2): the model's own
``image_classification.py``; Banbury et al., "MLPerf Tiny Benchmark", NeurIPS 2021.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from refquant.model.build import Builder
from refquant.model.graph import Graph
from refquant.model.rq import write_rq

F32 = NDArray[np.float32]

ASSETS = Path(__file__).parents[1] / "assets"
ARCHIVE = ASSETS / "mlperf_tiny/image_classification.mltk.zip"
SIZE = 32


@dataclass
class Keras:
    """A Keras file being followed; ``made`` is what each of its layers became."""

    layers: list[dict[str, Any]]
    weights: Mapping[str, Any]
    b: Builder
    made: dict[str, str]

    def graph(self) -> Graph:
        """Return the whole model."""
        x = ""
        for layer in self.layers:
            own, name = layer["config"], layer["config"]["name"]
            nodes = layer["inbound_nodes"]
            given = [self.made[item[0]] for item in nodes[0]] if nodes else []
            x = self.made[name] = self._layer(layer["class_name"], own, name, given)
        return self.b.graph([x])

    def _layer(self, kind: str, own: dict[str, Any], name: str, given: list[str]) -> str:
        if kind == "InputLayer":
            _, height, width, channels = own["batch_input_shape"]
            return self.b.input("x", ("N", channels, height, width))
        if kind == "Conv2D":
            return self._conv(own, name, given[0])
        if kind == "BatchNormalization":
            terms = ("gamma", "beta", "moving_mean", "moving_variance")
            values = [self._weight(name, term) for term in terms]
            attributes = {"epsilon": float(own["epsilon"])}
            return self.b.node(kind, [*given, *values], name=name, attributes=attributes)
        if kind == "AveragePooling2D":
            pool = {"kernel_shape": own["pool_size"], "strides": own["strides"]}
            return self.b.node("AveragePool", given, name=name, attributes=pool)
        if kind == "Dense":
            terms = [self._weight(name, "kernel"), self._weight(name, "bias")]
            logits = self.b.node("Gemm", [*given, *terms], name=name)
            return self.b.node("Softmax", [logits], name="y", attributes={"axis": -1})
        op = {"Activation": "Relu", "Add": "Add", "Flatten": "Flatten"}.get(kind)
        if op is None or own.get("activation", "relu") != "relu":
            raise ValueError(f"layer {name!r}: {kind} is not in this network")
        return self.b.node(op, given, name=name)

    def _conv(self, own: dict[str, Any], name: str, x: str) -> str:
        kernel = np.asarray(self.weights[name][name]["kernel:0"]).transpose(3, 2, 0, 1)
        weight = self.b.constant(f"{name}/kernel", np.ascontiguousarray(kernel))
        begins, ends = [], []
        sizes = self.b.values[x].shape[2:]
        for i, k, s in zip(sizes, own["kernel_size"], own["strides"], strict=True):
            pad = max((-(-int(i) // s) - 1) * s + k - int(i), 0)  # equation (1)
            begins.append(pad // 2)
            ends.append(pad - pad // 2)
        attributes = {"strides": own["strides"], "pads": begins + ends}
        terms = [x, weight, self._weight(name, "bias")]
        return self.b.node("Conv", terms, name=name, attributes=attributes)

    def _weight(self, layer: str, name: str) -> str:
        array = np.asarray(self.weights[layer][layer][f"{name}:0"], np.float32)
        return self.b.constant(f"{layer}/{name}", array)


def load(archive: Path = ARCHIVE) -> Graph:
    """Return the network: input ``x`` (N, 3, 32, 32), output ``y`` (N, 10), probabilities."""
    with zipfile.ZipFile(archive) as folder:
        file = h5py.File(io.BytesIO(folder.read("image_classification.h5")), "r")
    config = json.loads(file.attrs["model_config"])["config"]
    return Keras(config["layers"], file["model_weights"], Builder("resnet"), {}).graph()


def pixels(photo: Image.Image) -> F32:
    """Return equation (2): (3, 32, 32)."""
    small = photo.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)
    return (np.asarray(small, np.float32).transpose(2, 0, 1) - np.float32(128)) / np.float32(128)


def labelled(folder: Path = ASSETS / "photos") -> tuple[F32, NDArray[np.int64]]:
    """Return the 20 pictures and their classes: ``cifar10_NN_CLASS.png``."""
    paths = sorted(folder.glob("cifar10_*.png"))
    labels = [int(re.findall(r"\d+", path.stem)[-1]) for path in paths]
    return np.stack([pixels(Image.open(path)) for path in paths]), np.array(labels, np.int64)


def unlabelled(folder: Path = ASSETS / "calibration_photos", across: int = 3) -> F32:
    """Return ``across`` times as many pieces of each photo: (photos * across**2, 3, 32, 32)."""
    pieces = []
    for path in sorted(folder.iterdir()):
        photo = Image.open(path)
        side = min(photo.size) // across
        corners = [(i * side, j * side) for i in range(across) for j in range(across)]
        pieces += [pixels(photo.crop((x, y, x + side, y + side))) for x, y in corners]
    return np.stack(pieces)


def main() -> None:
    """Write the model and its data."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    write_rq(folder / "resnet.rq", load())
    images, labels = labelled()
    np.savez(folder / "test.npz", x=images, labels=labels)
    calibration = unlabelled()
    np.savez(folder / "calibration.npz", x=calibration)
    print(f"{folder}: the model, {len(images)} pictures to test, {len(calibration)} to calibrate")


if __name__ == "__main__":
    main()
