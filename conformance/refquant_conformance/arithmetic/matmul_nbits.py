r"""Products of float32 activations and codes: weight-only layers.

.. math::

    y_{m,n} = \sum_k a_{m,k}\,(q_{k,n} - z_{g(k),n})\,s_{g(k),n}, \qquad
    g(k) = \lfloor k / \text{block\_size} \rfloor    \tag{1}

Two axes. ``scale``: a weight is (q - z) s, rounded to float32 (``of_weights``), or the sum of a
block is multiplied by s, and blocks are added (``of_sums``). ``sums``, each of float32:

* ``ordered``: ascending from +0, products and sums rounded;
* ``fused``: ascending from +0, each product and sum rounded at once;
* ``fused_or_lanes``: of one row of a: 16 sums, each fused, of every 16th k, then
  ((v0 + v1) + v2) + v3 of each four and (r0 + r2) + (r1 + r3) of these, but of the columns that
  are left over from fours the two halves are added, again and again; of more rows ``fused``.

References
----------
onnxruntime ``docs/ContribOperators.md``, MatMulNBits; ``docs/spec/operators.md`` section 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.fused import fused_multiply_add
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_weights import weighted_sum_exact
from refquant_conformance.protocol import Array, Case

__all__ = ["MATMUL_NBITS", "nbits_case", "spread"]

Float = NDArray[np.float32]
_LANES = 16
_MIDDLE = 8  # what a zero point is that is not there


def nbits_case(a: Array, b: Array, scale: Array, zero_point: Array | None, block_size: int) -> Case:
    """Return the case of a (m, k) by codes b (k, n); scale and zero point are (blocks, n).

    >>> case = nbits_case(np.ones((1, 20)), np.ones((20, 2)), np.ones((2, 2)), None, 16)
    >>> case.inputs["b"].dtype.name, sorted(case.inputs)
    ('uint8', ['a', 'b', 'b_scale'])
    """
    inputs: dict[str, Array] = {
        "a": np.asarray(a, np.float32),
        "b": np.asarray(b, np.uint8),
        "b_scale": np.asarray(scale, np.float32),
    }
    if zero_point is not None:
        inputs["b_zero_point"] = np.asarray(zero_point, np.uint8)
    types = types_of("matmul_nbits", "f32_u4")
    return Case("matmul_nbits", "f32_u4", inputs, {"block_size": block_size}, types=types)


def spread(case: Case) -> tuple[NDArray[np.int64], Float]:
    """Return q - z and s of every weight, (k, n)."""
    b, scale = case.inputs["b"], case.inputs["b_scale"]
    zero_point = case.inputs.get("b_zero_point", np.full(scale.shape, _MIDDLE))
    block = np.arange(len(b)) // int(str(case.params["block_size"]))
    return b.astype(np.int64) - zero_point[block], scale[block]


def _ordered(a: Float, w: Float) -> Float:
    total = np.zeros((len(a), w.shape[1]), np.float32)
    for k in range(len(w)):
        total = total + a[:, k, None] * w[k]
    return total


def _fused(a: Float, w: Float) -> Float:
    total = np.zeros((len(a), w.shape[1]), np.float32)
    for k in range(len(w)):
        total = fused_multiply_add(a[:, k, None], w[k], total)
    return total


def _fused_or_lanes(a: Float, w: Float) -> Float:
    return _fused(a, w) if len(a) > 1 else _lanes(a[0], w)[None]


def _lanes(a: Float, w: Float) -> Float:
    lanes = np.zeros((_LANES, w.shape[1]), np.float32)
    for k in range(0, len(w), _LANES):
        n = len(w[k : k + _LANES])
        lanes[:n] = fused_multiply_add(a[k : k + n, None], w[k : k + n], lanes[:n])
    fours = w.shape[1] // 4 * 4
    v, rest = lanes[:, :fours].reshape(4, 4, -1), lanes[:, fours:]
    r = ((v[:, 0] + v[:, 1]) + v[:, 2]) + v[:, 3]
    while len(rest) > 1:
        rest = rest[: len(rest) // 2] + rest[len(rest) // 2 :]
    return np.concatenate([(r[0] + r[2]) + (r[1] + r[3]), rest[0]])


_SUMS: dict[str, Callable[[Float, Float], Float]] = {
    "ordered": _ordered,
    "fused": _fused,
    "fused_or_lanes": _fused_or_lanes,
}


def _compute(case: Case, axes: Axes) -> Outputs:
    a, (steps, scale) = case.inputs["a"], spread(case)
    add_up = _SUMS[str(axes["sums"])]
    with np.errstate(all="ignore"):
        if axes["scale"] == "of_weights":
            return {"y": add_up(a, steps.astype(np.float32) * scale)}
        size = int(str(case.params["block_size"]))
        total = np.zeros((len(a), steps.shape[1]), np.float32)
        for k in range(0, len(steps), size):
            part = add_up(a[:, k : k + size], steps[k : k + size].astype(np.float32))
            total = total + part * scale[k]
    return {"y": total}


def _exact(case: Case, axes: Axes, output: str, index: int) -> float:
    a, (steps, scale) = case.inputs["a"], spread(case)
    row, column = divmod(index, steps.shape[1])
    sums = str(axes["sums"])
    if sums == "fused_or_lanes":
        whole = column < steps.shape[1] // 4 * 4
        sums = "fused" if len(a) > 1 else "lanes" if whole else "halves"
    return weighted_sum_exact(
        [float(v) for v in a[row]],
        [int(v) for v in steps[:, column]],
        [float(v) for v in scale[:, column]],
        sums=sums,
        scale=str(axes["scale"]),
    )


def _element(case: Case, index: int) -> Case:
    """Return the case of one row of a; twice, if there were more: one row may be summed apart."""
    a = case.inputs["a"]
    row = index // case.inputs["b"].shape[1]
    return replace(case, inputs={**case.inputs, "a": a[[row] * min(2, len(a))]})


def _probes(scheme: str) -> Sequence[Case]:
    """Return products of one row and of several, of whole blocks and of a rest, by rules of all."""
    random = np.random.default_rng(7)
    found = []
    for rows, k, size in ((1, 32, 32), (3, 32, 32), (1, 64, 16), (2, 64, 16), (1, 96, 32),
                          (4, 128, 32), (1, 128, 128), (5, 40, 16), (1, 40, 16)):  # fmt: skip
        blocks, columns = -(-k // size), 18  # columns come in fours, and two are left over
        a = random.normal(size=(rows, k))
        b = random.integers(0, 16, (k, columns))
        scale = np.exp2(random.uniform(-7, -2, (blocks, columns)))
        zero_point = random.integers(0, 16, (blocks, columns))
        for points in (zero_point, None):
            found.append(nbits_case(a, b, scale, points, size))
    return found


MATMUL_NBITS = Arithmetic(
    op="matmul_nbits",
    schemes=("f32_u4",),
    axes=MappingProxyType({"sums": tuple(_SUMS), "scale": ("of_weights", "of_sums")}),
    spec=MappingProxyType({"sums": None, "scale": None}),
    clause="onnxruntime MatMulNBits: A times the dequantized B; in which order it is summed is not "
    "said",
    compute=_compute,
    exact=_exact,
    probes=_probes,
    element=_element,
)
