"""The demo's network, as a table and as a graph.

The need: a real model, small enough to travel in a wheel and to run in seconds in plain NumPy, with
everything that makes quantization interesting: a strided convolution, depthwise convolutions (whose
channels differ in range, so that one scale a tensor hurts), batch normalization to fold, residual
additions (two scales meet), an average pool and a fully connected head.

The table ``LAYERS`` is the network; the training script and the exported graph are read off it::

    layer(x)   = Relu(BatchNormalization(Conv(x)) [+ output of ``skip``])                     (1)
    network(x) = Gemm(Flatten(GlobalAveragePool(layers(x)))),   x = pixel / 255               (2)

2.66 million multiply-accumulates an image, 49 thousand trained parameters. The batch
normalizations stay nodes of their own, so that whoever quantizes the model folds them.

Sources: depthwise-separable blocks: Howard et al., "MobileNets", arXiv:1704.04861, 2017;
additions: He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from refquant.model.build import Builder
from refquant.model.graph import Graph

F32 = npt.NDArray[np.float32]

IMAGE_SIZE = 28
CLASSES = (
    *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
EPSILON = 1e-5  # of every batch normalization


@dataclass(frozen=True)
class Layer:
    """One line of equation (1): square kernel, padded so that stride 1 keeps the size."""

    name: str
    channels_in: int
    channels_out: int
    kernel: int = 1
    stride: int = 1
    group: int = 1
    skip: str | None = None

    @property
    def pad(self) -> int:
        """Pixels of zero padding on each side."""
        return self.kernel // 2


LAYERS = (
    Layer("stem", 1, 32, kernel=3, stride=2),  # 28x28 -> 14x14
    Layer("block1.dw", 32, 32, kernel=3, group=32),
    Layer("block1.pw", 32, 64),
    Layer("block2.dw", 64, 64, kernel=3, stride=2, group=64),  # 14x14 -> 7x7
    Layer("block2.pw", 64, 128),
    Layer("block3.dw", 128, 128, kernel=3, group=128),
    Layer("block3.pw", 128, 128, skip="block2.pw"),
    Layer("block4.dw", 128, 128, kernel=3, group=128),
    Layer("block4.pw", 128, 128, skip="block3.pw"),
)


def to_graph(constants: Mapping[str, F32], *, meta: Mapping[str, object]) -> Graph:
    """Return the float32 graph of equation (2): input ``x`` ``(N, 1, 28, 28)``, output ``y``.

    Parameters
    ----------
    constants
        The trained tensors: for each layer ``NAME.conv.weight`` ``(O, I/group, K, K)`` and
        ``NAME.bn.{scale,bias,mean,var}`` ``(O,)``; ``head.gemm.weight`` ``(10, 128)`` and
        ``head.gemm.bias`` ``(10,)``.
    meta
        Free JSON for people; the names of the classes are added.
    """
    builder = Builder("fashion_cnn")
    value = builder.input("x", ("N", 1, IMAGE_SIZE, IMAGE_SIZE))
    for name, tensor in constants.items():
        builder.constant(name, tensor)
    for layer in LAYERS:
        value = _add_layer(builder, layer, value)
    value = builder.node("GlobalAveragePool", [value], name="head.pool")
    value = builder.node("Flatten", [value], name="head.flatten", attributes={"axis": 1})
    gemm = [value, "head.gemm.weight", "head.gemm.bias"]
    value = builder.node("Gemm", gemm, name="y", attributes={"transB": 1})
    return builder.graph([value], meta={**meta, "classes": list(CLASSES)})


def _add_layer(builder: Builder, layer: Layer, x: str) -> str:
    """Add the nodes of equation (1) and return the name of their output."""
    name = layer.name
    convolution: dict[str, int | list[int]] = {
        "kernel_shape": [layer.kernel] * 2,
        "strides": [layer.stride] * 2,
        "pads": [layer.pad] * 4,
        "dilations": [1, 1],
        "group": layer.group,
    }
    weight = f"{name}.conv.weight"
    value = builder.node("Conv", [x, weight], name=f"{name}.conv", attributes=convolution)
    norm = [value, *(f"{name}.bn.{part}" for part in ("scale", "bias", "mean", "var"))]
    epsilon = {"epsilon": EPSILON}
    value = builder.node("BatchNormalization", norm, name=f"{name}.bn", attributes=epsilon)
    if layer.skip is not None:
        value = builder.node("Add", [value, f"{layer.skip}.relu"], name=f"{name}.add")
    return builder.node("Relu", [value], name=f"{name}.relu")
