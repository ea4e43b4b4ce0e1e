r"""Rotations of a transformer block: the same function, without outlier channels.

A few channels of the residual stream of a language model are a hundred times as large as the
others, and one scale a token serves only them. Rotating the stream by an orthogonal R spreads
them (`hadamard`), and linear layers can undo the rotation before anybody sees it:

.. math::

    W x = (W R^T)(R x), \qquad R\,(W x) = (R W)\, x                                     \tag{1}

RMS normalization lets R pass, once its gain :math:`\gamma` has moved into the weights behind it:

.. math::

    W \operatorname{diag}(\gamma)\, \frac{x}{\mathrm{rms}(x)} = W' \frac{x}{\mathrm{rms}(x)}, \qquad
    \frac{R x}{\mathrm{rms}(R x)} = R\, \frac{x}{\mathrm{rms}(x)}                       \tag{2}

because :math:`\|R x\| = \|x\|`. Four places, called R1 to R4 since SpinQuant:

::

    R1  the residual stream     embedding rows, outputs of o and down:   R1 w
                                inputs of q, k, v, gate, up, head:       w R1^T
    R2  values, in each head    outputs of v:  R2 w;     inputs of o:    w R2^T
    R3  queries and keys        after the rotary embedding, while running: nothing to fold
    R4  inputs of down          w R4^T; the activation is rotated while running

.. math::

    (R_3 q)^T (R_3 k) = q^T k, \qquad
    \sum_t a_t (R_2 v_t) = R_2 \sum_t a_t v_t                                           \tag{3}

(an attention's weights a are numbers, so R2 passes through it; R3 leaves them alone). R4 does not
pass the product of gate and up, nor R3 the rotary embedding: that is why they cost time.

Each R is :math:`H \operatorname{diag}(signs) / \sqrt n`, given by its signs, int8 (n,). Weights are
float32 (outputs, inputs), heads one after the other. All is float64 inside, in the fixed order of
`walsh_hadamard`, and rounded to float32 once: each weight is as near as float32 can be.

`Block` is a block by itself; whole graphs are turned by `refquant.model.rotate`, with the pieces of
`refquant.algorithms.rotate_axis`. Left out: biases (R1 turns those of o and down, R2 that of v),
learned rotations (SpinQuant), QuaRot's second rotation of values across heads.

References
----------
Ashkboos et al., "QuaRot: Outlier-Free 4-Bit Inference in Rotated LLMs", arXiv:2404.00456, sections
3 and 4; Liu et al., "SpinQuant", arXiv:2405.16406, section 3 (the names).
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.hadamard import rotate

__all__ = ["Block", "fuse_norm", "fuse_norms", "rotate_block", "rotate_inputs", "rotate_outputs"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Signs = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The weights of one block, float32: what Llama and its kin have.

    ``q`` (heads * d, hidden), ``k`` and ``v`` (kv_heads * d, hidden), ``o`` (hidden, heads * d),
    ``gate`` and ``up`` (inner, hidden), ``down`` (hidden, inner); gains (hidden,).

    >>> w = np.ones((2, 2), np.float32)
    >>> Block(np.ones(2, np.float32), w, w, w, w, np.ones(2, np.float32), w, w, w, head_size=3)
    Traceback (most recent call last):
    ValueError: head_size must divide the rows of q, k and v, got 3 and 2, 2, 2
    """

    attention_norm: F32
    q: F32
    k: F32
    v: F32
    o: F32
    mlp_norm: F32
    gate: F32
    up: F32
    down: F32
    head_size: int

    def __post_init__(self) -> None:
        """Refuse weights that do not fit together."""
        for field in fields(self)[:-1]:
            array = getattr(self, field.name)
            if array.dtype != np.float32 or not np.isfinite(array).all():
                raise ValueError(f"{field.name} must be finite float32, got {array.dtype}")
        rows = [w.shape[0] for w in (self.q, self.k, self.v)]
        if self.head_size < 1 or any(n % self.head_size for n in rows):
            raise ValueError(
                f"head_size must divide the rows of q, k and v, got {self.head_size} and "
                f"{', '.join(map(str, rows))}"
            )
        hidden, inner = self.q.shape[1], self.gate.shape[0]
        wanted = {
            "attention_norm": (hidden,), "q": (rows[0], hidden), "k": (rows[2], hidden),
            "v": (rows[2], hidden), "o": (hidden, rows[0]), "mlp_norm": (hidden,),
            "gate": (inner, hidden), "up": (inner, hidden), "down": (hidden, inner),
        }  # fmt: skip
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must be {shape}, got {getattr(self, name).shape}")


def fuse_norm(gain: F32, w: F32) -> F32:
    r"""Return :math:`W \operatorname{diag}(\gamma)`, rounded once: eq. (2).

    >>> fuse_norm(np.float32([2, 3]), np.float32([[1, 1], [5, 0]])).tolist()
    [[2.0, 3.0], [10.0, 0.0]]
    """
    if gain.shape != w.shape[1:]:
        raise ValueError(f"gain must have one number an input, {w.shape[1:]}, got {gain.shape}")
    return _f32("a fused weight", w.astype(np.float64) * gain)


def fuse_norms(block: Block) -> Block:
    """Return ``block`` with both gains in the weights behind them, ones in their place: eq. (2).

    ``ValueError`` for a weight that leaves float32.

    >>> w, gain = np.ones((2, 2), np.float32), np.float32([2, 4])
    >>> fused = fuse_norms(Block(gain, w, w, w, w, gain, w, w, w, head_size=2))
    >>> fused.q.tolist(), fused.o.tolist(), fused.mlp_norm.tolist()
    ([[2.0, 4.0], [2.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]], [1.0, 1.0])
    """
    attention: dict[str, Any] = {
        name: fuse_norm(block.attention_norm, getattr(block, name)) for name in "qkv"
    }
    mlp: dict[str, Any] = {
        name: fuse_norm(block.mlp_norm, getattr(block, name)) for name in ("gate", "up")
    }
    ones = np.ones(block.mlp_norm.shape, np.float32)
    return replace(block, **attention, **mlp, attention_norm=ones, mlp_norm=ones.copy())


def rotate_inputs(w: F64, signs: Signs) -> F64:
    r"""Return :math:`W R^T`, float64 (outputs, inputs), R on each run of ``signs.size``: eq. (1).

    Rows of an embedding table are vectors of the stream; as :math:`(R e)^T = e^T R^T`, this turns
    them, too. ``ValueError`` if the size does not divide the inputs.

    >>> rotate_inputs(np.array([[3.0, 1.0, 0.0, 4.0]]), np.int8([1, -1])).round(3).tolist()
    [[1.414, 2.828, -2.828, 2.828]]
    """
    n = signs.size
    if n < 1 or w.shape[1] % n:
        raise ValueError(f"signs must divide the {w.shape[1]} channels, got {n} of them")
    return rotate(w.reshape(w.shape[0], -1, n), signs, inverse=False).reshape(w.shape)


def rotate_outputs(w: F64, signs: Signs) -> F64:
    r"""Return :math:`R W`, float64 (outputs, inputs), R along each run of ``signs.size``: eq. (1).

    >>> rotate_outputs(np.array([[3.0], [1.0]]), np.int8([1, -1])).round(3).tolist()
    [[1.414], [2.828]]
    """
    return np.ascontiguousarray(rotate_inputs(np.ascontiguousarray(w.T), signs).T)


def rotate_block(block: Block, *, r1: Signs, r2: Signs, r4: Signs) -> Block:
    """Return ``block`` rotated by R1 (hidden,), R2 (head_size,) and R4 (inner,): eq. (1, 3).

    Whoever runs it gives it a rotated stream, rotates what goes into ``down`` by R4, and may
    rotate queries and keys by any R3. ``ValueError`` where a gain is not fused, and for sizes that
    no Hadamard matrix has.

    >>> w, ones = np.eye(4, dtype=np.float32), np.ones(4, np.float32)
    >>> signs = np.ones(4, np.int8)
    >>> block = Block(ones, w, w, w, w, ones, w, w, w, head_size=4)
    >>> rotated = rotate_block(block, r1=signs, r2=signs, r4=signs)
    >>> (2 * rotated.q).tolist()[1], rotated.v.tolist()[1]
    ([1.0, -1.0, 1.0, -1.0], [0.0, 1.0, 0.0, 0.0])
    """
    for name in ("attention_norm", "mlp_norm"):
        if not (getattr(block, name) == 1).all():
            raise ValueError(f"{name} must be all ones, got a gain; call fuse_norms first")
    sizes = {"r1": (r1, block.q.shape[1]), "r2": (r2, block.head_size)}
    for name, (signs, size) in {**sizes, "r4": (r4, block.gate.shape[0])}.items():
        if signs.shape != (size,):
            raise ValueError(f"{name} must be ({size},), got {signs.shape}")
    wide = {name: getattr(block, name).astype(np.float64) for name in _WEIGHTS}
    turned = {name: rotate_inputs(wide[name], r1) for name in ("q", "k", "v", "gate", "up")}
    turned["v"] = rotate_outputs(turned["v"], r2)
    turned["o"] = rotate_outputs(rotate_inputs(wide["o"], r2), r1)
    turned["down"] = rotate_outputs(rotate_inputs(wide["down"], r4), r1)
    rounded: dict[str, Any] = {name: _f32(name, w) for name, w in turned.items()}
    return replace(block, **rounded)


_WEIGHTS = ("q", "k", "v", "o", "gate", "up", "down")


def _f32(name: str, w: F64) -> F32:
    with np.errstate(over="ignore"):
        result = w.astype(np.float32)
    if not np.isfinite(result).all():
        raise ValueError(f"{name} must be finite float32, but has left its range")
    return result
