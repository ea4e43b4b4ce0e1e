r"""Layer normalization of rows in float32.

.. math::

    y_c = \frac{x_c - \mu}{\sqrt{v + \epsilon}}\,g_c + b_c, \qquad
    \mu = \tfrac1C \sum_c x_c, \qquad v = \tfrac1C \sum_c (x_c - \mu)^2    \tag{1}

each operation rounded, by the axes

* ``sums``: ``ordered``, ascending from +0; ``eight``: eight sums of every eighth element, added as
  ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)), then the elements that are left;
* ``variance``: ``two_pass``, (1); ``one_pass``: the mean of squares less the square of the mean,
  which loses all its bits where the mean is large;
* ``inverse``: x - mu is multiplied by 1 / root (``reciprocal``), or ``divided`` by the root.

References
----------
ONNX LayerNormalization-17, the function body; ``docs/spec/operators.md`` section 7.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_norm import layer_norm_exact
from refquant_conformance.protocol import Array, Case

__all__ = ["LAYER_NORM", "norm_case"]

Float = NDArray[np.float32]


def norm_case(x: Array, scale: Array, bias: Array | None, epsilon: float = 1e-5) -> Case:
    """Return the case of rows x (rows, c).

    >>> sorted(norm_case(np.ones((1, 3)), np.ones(3), None).inputs)
    ['scale', 'x']
    """
    inputs = {"x": np.asarray(x, np.float32), "scale": np.asarray(scale, np.float32)}
    if bias is not None:
        inputs["bias"] = np.asarray(bias, np.float32)
    return Case(
        "layer_norm", "f32", inputs, {"epsilon": epsilon}, types=types_of("layer_norm", "f32")
    )


def _sum(x: Float, order: str) -> Float:
    """Return the sum along the last axis, (..., 1)."""
    count, total = x.shape[-1], np.zeros(x.shape[:-1], np.float32)
    whole = 0 if order == "ordered" or count < 8 else count // 8 * 8
    if whole:
        lanes = x[..., :8]
        for k in range(8, whole, 8):
            lanes = lanes + x[..., k : k + 8]
        while lanes.shape[-1] > 1:
            lanes = lanes[..., 0::2] + lanes[..., 1::2]
        total = lanes[..., 0]
    for k in range(whole, count):
        total = total + x[..., k]
    return total[..., None]


def _epsilon(case: Case) -> float:
    return float(case.params["epsilon"])  # type: ignore[arg-type]  # a number, the catalogue says


def _compute(case: Case, axes: Axes) -> Outputs:
    x, n, sums = case.inputs["x"], np.float32(case.inputs["x"].shape[-1]), str(axes["sums"])
    with np.errstate(all="ignore"):
        mean = _sum(x, sums) / n
        d = x - mean
        if axes["variance"] == "two_pass":
            v = _sum(d * d, sums) / n
        else:
            v = _sum(x * x, sums) / n - mean * mean
        root = np.sqrt(v + np.float32(_epsilon(case)))
        y = d * (np.float32(1) / root) if axes["inverse"] == "reciprocal" else d / root
        y = y * case.inputs["scale"]
        return {"y": y + case.inputs["bias"] if "bias" in case.inputs else y}


def _exact(case: Case, axes: Axes, output: str, index: int) -> float:
    row, at = divmod(index, case.inputs["x"].shape[-1])
    bias = case.inputs.get("bias")
    return layer_norm_exact(
        [float(v) for v in case.inputs["x"][row]],
        at,
        float(case.inputs["scale"][at]),
        None if bias is None else float(bias[at]),
        epsilon=_epsilon(case),
        sums=str(axes["sums"]),
        variance=str(axes["variance"]),
        inverse=str(axes["inverse"]),
    )


def _element(case: Case, index: int) -> Case:
    row = index // case.inputs["x"].shape[-1]
    return replace(case, inputs={**case.inputs, "x": case.inputs["x"][row : row + 1]})


def _probes(scheme: str) -> Sequence[Case]:
    """Return rows of a few to 100 elements, near 0 and away from it; with a bias and without."""
    random = np.random.default_rng(3)
    found = []
    for k, count in enumerate((2, 5, 8, 16, 33, 64, 100)):
        x = random.normal(size=(4, count)) * 3
        x[1] += 10
        x[2] *= 1e-3
        scale, bias = random.normal(size=count), random.normal(size=count)
        found.append(norm_case(x, scale, bias if k % 2 else None))
    return found


LAYER_NORM = Arithmetic(
    op="layer_norm",
    schemes=("f32",),
    axes=MappingProxyType(
        {
            "sums": ("ordered", "eight"),
            "variance": ("two_pass", "one_pass"),
            "inverse": ("reciprocal", "divided"),
        }
    ),
    spec=MappingProxyType({"sums": None, "variance": "two_pass", "inverse": "reciprocal"}),
    clause="ONNX LayerNormalization-17, function body: Var = mean of (X - Mean)^2, InvStdDev = "
    "1 / sqrt(Var + epsilon), Normalized = D * InvStdDev; the order of sums is not said",
    compute=_compute,
    exact=_exact,
    probes=_probes,
    element=_element,
)
