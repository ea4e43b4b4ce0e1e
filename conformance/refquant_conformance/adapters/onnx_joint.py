"""Many models as one: for engines that take longer to compile a model than to run it.

Nodes, constants, feeds and outputs of model k get the suffix ``_k``; nothing joins two of them::

    x --> Q --> y      and      x --> DQ --> y      becomes      x_0 --> Q  --> y_0
                                                                 x_1 --> DQ --> y_1
"""

from collections.abc import Sequence
from dataclasses import replace

from refquant_conformance.adapters.onnx_models import Model, Node

__all__ = ["joint", "numbered"]


def numbered(name: str, k: int) -> str:
    """Return the name of ``name`` of model ``k``; an absent input stays absent.

    >>> numbered("x", 3), numbered("", 3)
    ('x_3', '')
    """
    return f"{name}_{k}" if name else ""


def _node(node: Node, k: int) -> Node:
    names = (tuple(numbered(name, k) for name in part) for part in (node.inputs, node.outputs))
    inputs, outputs = names
    return replace(node, inputs=inputs, outputs=outputs)


def joint(models: Sequence[Model]) -> Model:
    """Return one model with the nodes of all.

    >>> one = Model((Node("Relu", ("x",)),), {}, {"x": "float32"}, {"y": "float32"})
    >>> [node.inputs for node in joint([one, one]).nodes]
    [('x_0',), ('x_1',)]
    """
    each = list(enumerate(models))
    return Model(
        tuple(_node(node, k) for k, model in each for node in model.nodes),
        {numbered(name, k): held for k, model in each for name, held in model.constants.items()},
        {numbered(name, k): kind for k, model in each for name, kind in model.feeds.items()},
        {numbered(name, k): kind for k, model in each for name, kind in model.outputs.items()},
        max(model.opset for model in models),
    )
