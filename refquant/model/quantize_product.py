r"""The operands of an integer product: codes of the weight, and a bias that the accumulator holds.

.. math::

    acc = \sum (x - z_x)(w - z_w) + b, \qquad
    b_c = \mathrm{round\_half\_even}\!\left(\frac{bias_c}{s_x\, s_{w,c}}\right)            \tag{1}

in float64, so that one unit of the accumulator is :math:`s_x s_{w,c}`, of weights and bias alike.

A channel with tiny weights and a large bias has a :math:`b_c` beyond int32. Its weights matter
little then, so its scale is enlarged until the bias takes half of the range, which leaves the other
half to the sum:

.. math::

    s_{w,c} \ge \frac{|bias_c|}{s_x\, 2^{30}}                                              \tag{2}

(onnxruntime's quantizer does the same). Per tensor the channel that needs most decides for all.
What still does not fit, a sum of very many products, is refused when the graph is validated.

Source: docs/spec/operators.md, sections 3 and 4; Jacob et al., CVPR 2018, section 2.4.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.affine import QParams, quantize
from refquant.model.build import Builder
from refquant.model.channels import channel_axis
from refquant.model.graph import Graph, Node
from refquant.model.quantize_weights import add_codes, weight_block, weight_qparams
from refquant.model.recipe import Weights

__all__ = ["add_product", "bias_codes", "fit_bias"]

_SMALLEST_NORMAL = 2.0**-126
_LARGEST_FLOAT32 = (2.0 - 2.0**-23) * 2.0**127


def add_product(
    b: Builder,
    graph: Graph,
    node: Node,
    *,
    x: str,
    x_qparams: QParams,
    rules: Weights,
    contract: Contract,
) -> list[str]:
    """Add weight and bias of ``node`` to ``b`` as codes; return the operands of the integer node.

    ``x`` names the codes of the first operand, whose parameters are ``x_qparams``.

    >>> from refquant.contracts import preset
    >>> from refquant.model.graph import Quant
    >>> g = Builder("g")
    >>> w = g.constant("w", np.eye(2, dtype=np.float32))
    >>> g = g.graph([g.node("MatMul", [g.input("x", ("N", 2)), w], name="y")])
    >>> b, q = Builder("h"), QParams(np.float32(0.5), np.int32(0), None, "int8")
    >>> x = b.input("x", ("N", 2), dtype="int8", quant=Quant(0.5, 0))
    >>> add_product(b, g, g.nodes[0], x=x, x_qparams=q, rules=Weights(), contract=preset("ort"))
    ['x', 'w']
    """
    weight, bias = (*node.inputs, "")[1:3]
    w = graph.constants[weight]
    axis = channel_axis(node, w.ndim)
    block = weight_block(node, w.shape, rules)
    qparams = weight_qparams(w, rules, block=block, contract=contract, name=weight)
    if bias:
        try:
            qparams = fit_bias(qparams, graph.constants[bias], x_scale=x_qparams.scale, axis=axis)
        except ValueError as error:
            raise ValueError(f"node {node.name!r}, bias {bias!r}: {error}") from error
    codes = quantize(w, qparams, contract=contract)
    operands = [x, add_codes(b, weight, codes, qparams, suffix=node.name)]
    if bias:
        scale = _scales(x_qparams.scale, qparams)
        array = bias_codes(graph.constants[bias], scale)
        held = _bias_qparams(scale, node)
        operands.append(add_codes(b, bias, array, held, suffix=node.name))
    return operands


def fit_bias(qparams: QParams, bias: NDArray[np.float32], *, x_scale: Any, axis: int) -> QParams:
    """Return ``qparams`` of the weight with scales large enough for ``bias``: eq. (2).

    ``axis`` is that of the output channels. A zero point stays: the range grows about zero.
    `ValueError` for a bias that is not finite, or so large that the scale would leave float32.

    >>> p = QParams(np.float32([[1e-9], [1]]), np.int32([[0], [0]]), (1, 2), "int8")
    >>> fitted = fit_bias(p, np.float32([4, 4]), x_scale=np.float32(1), axis=0)
    >>> (fitted.scale * 2.0**28).tolist()
    [[1.0], [268435456.0]]
    """
    least = np.abs(bias.astype(np.float64)) / (np.float64(x_scale) * 2.0**30)
    least = np.maximum(least, _SMALLEST_NORMAL / np.float64(x_scale))  # the bias has a scale, too
    if not (least <= _LARGEST_FLOAT32).all():  # false for NaN
        raise ValueError(
            f"the bias must be finite and fit the scale {float(x_scale)} of the input, got "
            f"{float(np.abs(bias).max())}; exclude the node, or train the model to a smaller bias"
        )
    if qparams.block_shape is None:
        scale: Any = np.maximum(qparams.scale, np.float32(least.max(initial=0)))
    else:
        shape = [1] * len(qparams.block_shape)
        shape[axis] = -1
        if axis == 1:  # of a transposed convolution: a row a group
            shape[0] = np.shape(qparams.scale)[0]
        scale = np.maximum(qparams.scale, least.astype(np.float32).reshape(shape))
    return QParams(scale, qparams.zero_point, qparams.block_shape, qparams.dtype, qparams.narrow)


def bias_codes(bias: NDArray[np.float32], scale: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the int32 bias in units of ``scale``, one number or one a channel: eq. (1).

    `ValueError` where a code leaves int32.

    >>> bias_codes(np.float32([0.25, -1.0]), np.float64(0.1)).tolist()
    [2, -10]
    """
    codes = np.rint(bias.astype(np.float64) / scale)
    if codes.size and not np.abs(codes).max() <= 2**31 - 1:
        raise ValueError(
            f"the bias must be at most 2^31 - 1 units of {float(scale.min())}, got "
            f"{float(np.abs(codes).max())}; use a coarser scale for the weight"
        )
    return codes.astype(np.int32)


def _scales(x_scale: Any, qparams: QParams) -> NDArray[np.float64]:
    """Return the unit of the accumulator, exact: one number, or a vector of one a channel."""
    scale = np.float64(x_scale) * np.asarray(qparams.scale, np.float64)
    return scale.reshape(-1) if qparams.block_shape is not None else scale


def _bias_qparams(scale: NDArray[np.float64], node: Node) -> QParams:
    """Return what the file records of the bias: the unit, rounded to float32."""
    with np.errstate(over="ignore"):
        rounded = np.maximum(scale.astype(np.float32), np.float32(_SMALLEST_NORMAL))
    if not np.isfinite(rounded).all():
        raise ValueError(
            f"node {node.name!r}: the scale of its bias must be a float32, got {scale.max()}; "
            "scale the model's inputs or weights down"
        )
    zero_point = np.zeros(rounded.shape, np.int32)
    if rounded.ndim == 0:
        return QParams(np.float32(rounded), np.int32(0), None, "int32")
    return QParams(rounded, zero_point, (1,), "int32")
