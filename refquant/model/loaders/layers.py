"""Layers as nodes: what transformers of every maker consist of.

Files keep a linear layer as (outputs, inputs); ``MatMul`` takes (inputs, outputs). So the constant
has the file's name and the file's numbers, transposed.
"""

from refquant.model.build import Builder
from refquant.model.loaders.tensors import Tensors

__all__ = ["layer_norm", "linear", "rms_norm"]


def linear(
    b: Builder,
    file: Tensors,
    x: str,
    size: tuple[int, int],
    *,
    weight: str,
    bias: str | None,
    name: str,
) -> str:
    """Add ``x W^T + bias``: ``size`` is (outputs, inputs); return the name of the result, ``name``.

    >>> import numpy as np
    >>> file = Tensors("f", {"w": np.float32([[1, 2]])})
    >>> b = Builder("g")
    >>> linear(b, file, b.input("x", ("N", 2)), (1, 2), weight="w", bias=None, name="y")
    'y'
    >>> b.constants["w"].tolist()
    [[1.0], [2.0]]
    """
    w = b.constant(weight, file.take(weight, size).T.copy())
    if bias is None:
        return b.node("MatMul", [x, w], name=name)
    product = b.node("MatMul", [x, w], name=f"{name}/matmul")
    return b.node("Add", [product, b.constant(bias, file.take(bias, size[:1]))], name=name)


def layer_norm(
    b: Builder,
    file: Tensors,
    x: str,
    size: int,
    *,
    scale: str,
    bias: str,
    epsilon: float,
    name: str,
) -> str:
    """Add a LayerNormalization of vectors of ``size`` elements.

    >>> import numpy as np
    >>> file = Tensors("f", {"g": np.float32([1]), "b": np.float32([0])})
    >>> b = Builder("g")
    >>> layer_norm(b, file, b.input("x", ("N", 1)), 1, scale="g", bias="b", epsilon=1e-5, name="y")
    'y'
    """
    parameters = [b.constant(p, file.take(p, (size,))) for p in (scale, bias)]
    attributes = {"epsilon": epsilon}
    return b.node("LayerNormalization", [x, *parameters], attributes=attributes, name=name)


def rms_norm(
    b: Builder, file: Tensors, x: str, size: int, *, scale: str, epsilon: float, name: str
) -> str:
    """Add an RMSNormalization of vectors of ``size`` elements.

    >>> import numpy as np
    >>> b = Builder("g")
    >>> file = Tensors("f", {"g": np.float32([1])})
    >>> rms_norm(b, file, b.input("x", ("N", 1)), 1, scale="g", epsilon=1e-5, name="y")
    'y'
    """
    parameters = [b.constant(scale, file.take(scale, (size,)))]
    return b.node("RMSNormalization", [x, *parameters], attributes={"epsilon": epsilon}, name=name)
