"""A linear layer keeps the file's name and numbers, transposed."""

import numpy as np

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.loaders.layers import layer_norm, linear, rms_norm
from refquant.model.loaders.tensors import Tensors

FILE = Tensors(
    "m",
    {
        "w": np.array([[1, 2], [3, 4], [5, 6]], np.float32),
        "b": np.array([1, 0, -1], np.float32),
        "g": np.array([2, 2], np.float32),
    },
)


def test_a_linear_layer_is_x_times_w_transposed_plus_bias() -> None:
    b = Builder("g")
    y = linear(b, FILE, b.input("x", ("N", 2)), (3, 2), weight="w", bias="b", name="y")
    g = b.graph([y])
    assert np.array_equal(g.constants["w"], FILE.arrays["w"].T), "the file's name and numbers"
    assert run(g, {"x": np.array([[1, 10]], np.float32)})["y"].tolist() == [[22.0, 43.0, 64.0]], (
        "by hand"
    )


def test_normalizations_have_their_parameters() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2))
    parameters = Tensors("m", {**FILE.arrays, "z": np.array([7, 7], np.float32)})
    y = layer_norm(b, parameters, x, 2, scale="g", bias="z", epsilon=0.0, name="y")
    z = rms_norm(
        b,
        Tensors("m", {"h": np.array([3, 3], np.float32)}),
        x,
        2,
        scale="h",
        epsilon=0.0,
        name="z_",
    )
    got = run(b.graph([y, z]), {"x": np.array([[-1, 1]], np.float32)})
    assert got["y"].tolist() == [[5.0, 9.0]], "(x - 0) / 1 * 2 + 7"
    assert got["z_"].tolist() == [[-3.0, 3.0]], "x / 1 * 3"
