r"""Where a model loses it: the error of each layer's output, in order.

Both graphs see the same data; each value that both make by one name is compared, over all samples
together (`refquant.model.metrics`, eq. (1) and (2), and the largest difference). In a chain errors
pile up, so a bad number says little about the layer that it stands at. What a node adds is

.. math::

    a_i = \nu_i - \max_{j \to i} \nu_j, \qquad
    \nu = \frac{\sum (r - t)^2}{\sum r^2} = 10^{-\mathrm{SQNR}/10}                          \tag{1}

with j the values compared nearest before i on the paths to it: those that the node reads, or, where
such a value is not compared, what that was made from. Inputs have :math:`\nu = 0`. ::

    value   SQNR dB   noise     adds
    conv1   40        0.01 %    0.01 %
    conv2   20        1    %    0.99 %    <- the worst step
    conv3   19        1.26 %    0.26 %

A node may add less than nothing: a pooling averages noise away.

What has a name in one graph only (a `Relu` that became part of a convolution) is not in the table.
And a name must mean the same on both sides. After SmoothQuant, AWQ, equalization or rotation some
values are scaled or turned on purpose: their line shows an error that the next layer undoes.

References
----------
The tables of per-layer errors in ONNX Runtime's ``qdq_loss_debug``, TensorFlow Lite's quantization
debugger and PyTorch's numeric suite compare the same pairs; (1) is ours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from refquant.evaluation.similarity import moments_of_samples
from refquant.evaluation.walk import Arrays, common_values, pairs, pieces
from refquant.model.graph import Graph
from refquant.model.metrics import Moments, pooled

__all__ = ["Layer", "first_below", "layer_errors", "with_steps", "worst_step"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One value, made by an operator ``op``: its errors, and what it ``adds`` by eq. (1)."""

    value: str
    op: str
    errors: Moments
    adds: float


def layer_errors(
    reference: Graph,
    test: Graph,
    data: Sequence[Arrays],
    *,
    sums: str = "ordered",
    advance: Callable[[int], None] = lambda done: None,
) -> list[Layer]:
    """Return a `Layer` for each value that both make, in the order of ``reference``.

    ``data`` as in `refquant.evaluation.similarity.similarity`; ``advance(n)`` after n samples.
    `ValueError` if there is no such value, and for NaN or infinity, with the value's name.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> graphs = []
    >>> for number in (1.0, 1.5):
    ...     b = Builder("g")
    ...     w = b.constant("w", np.float32([number]))
    ...     h = b.node("Mul", [b.input("x", ("N", 1)), w], name="h")
    ...     graphs.append(b.graph([b.node("Mul", [h, h], name="y")]))
    >>> [(layer.value, layer.adds) for layer in layer_errors(*graphs, [{"x": np.float32([[2]])}])]
    [('h', 0.25), ('y', 1.3125)]
    """
    names = common_values(reference, test)
    if not names:
        raise ValueError(
            "no node of the model makes a value that the reference has, too, by name and shape; "
            "compare a model with what it was made from"
        )
    found: dict[str, list[Moments]] = {name: [] for name in names}
    wanted = frozenset(names)
    for batch in data:
        for piece in pieces([reference, test], batch):
            samples = 0
            for name, r, t in pairs(reference, test, piece, wanted, sums=sums):
                found[name] += moments_of_samples(name, r, t, batch=False)
                samples = len(r)
            advance(samples)
    errors = {name: pooled(pieces_of) for name, pieces_of in found.items()}
    return with_steps(reference, errors)


def with_steps(graph: Graph, errors: Mapping[str, Moments]) -> list[Layer]:
    """Return a `Layer` for each value in ``errors``, with what it adds: eq. (1).

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> with_steps(g, {"y": Moments(4.0, 4.0, 4.0, 1.0, 1.0)})[0].adds
    0.25
    """
    noise: dict[str, float] = {}  # of what is compared, and handed on by what is not
    layers = []
    for node in graph.nodes:
        before = max((noise.get(name, 0.0) for name in node.inputs), default=0.0)
        for name in node.outputs:
            noise[name] = before
            if name in errors:
                noise[name] = _ratio(errors[name])
                layers.append(Layer(name, node.op, errors[name], noise[name] - before))
    return layers


def _ratio(m: Moments) -> float:
    """Return the noise over the signal; of a signal of zeros with noise, ``inf``."""
    if m.noise == 0:
        return 0.0
    return m.noise / m.signal if m.signal > 0 else float("inf")


def first_below(layers: Sequence[Layer], sqnr_db: float) -> Layer | None:
    """Return the first layer with an SQNR below ``sqnr_db``; None if all keep it.

    >>> bad = Layer("y", "Conv", Moments(1.0, 1.0, 1.0, 1.0, 1.0), 1.0)
    >>> first_below([bad], 20.0) is bad, first_below([bad], -1.0)
    (True, None)
    """
    return next((layer for layer in layers if layer.errors.sqnr_db < sqnr_db), None)


def worst_step(layers: Sequence[Layer]) -> Layer | None:
    """Return the layer that adds most, the first of equal ones; None where none adds anything.

    >>> good = Layer("y", "Conv", Moments(1.0, 1.0, 1.0, 0.0, 0.0), 0.0)
    >>> worst_step([good]) is None
    True
    """
    adding = [layer for layer in layers if layer.adds > 0]
    return max(adding, key=lambda layer: layer.adds, default=None)
