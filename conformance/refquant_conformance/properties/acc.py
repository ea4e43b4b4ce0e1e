"""ACC: sums of products of codes, with operands that are as large as they can be.

A vector instruction that adds two products in 16 bits is right for small codes and wrong for large
ones, so no case here stays away from the ends of the range. Sums are held against the contract bit
for bit; laws that need no contract are in ``acc_laws``.

References
----------
ONNX, MatMulInteger-10 and QLinearMatMul-21; ``docs/spec/operators.md`` section 3.
"""

from itertools import product

import numpy as np

from refquant_conformance.arithmetic.conv_probes import conv_case, shapes
from refquant_conformance.arithmetic.product_probes import middle, product_case
from refquant_conformance.operators import types_of
from refquant_conformance.properties.many import stream
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial
from refquant_conformance.types import code_range

__all__ = ["codes", "plain", "products_of"]

_MATRICES = ("matmul_integer", "qlinear_matmul")
_CONVOLUTIONS = ("qlinear_conv", "qlinear_depthwise_conv")
_CLAUSE = (
    "ONNX MatMulInteger-10: the production MUST never overflow. The accumulation may overflow if "
    "and only if in 32 bits"
)
_LENGTHS = (2, 4, 8, 16, 64, 256, 1024, 4096)


def plain(trial: Trial) -> tuple[str, str]:
    """Return the types of both operands; skip the schemes of a scale a channel, which repeat."""
    if trial.scheme.endswith("_channel"):
        trial.skip("sums do not know how many scales there are")
    types = types_of(trial.op, trial.scheme)
    return (types["a"], types["b"]) if "a" in types else (types["x"], types["w"])


def products_of(
    trial: Trial, a: Array, b: Array, zero_points: tuple[int, int], *, bias: Array | None = None
) -> Case:
    """Return the product of ``a`` and ``b``; where y has codes, the sums fill their range.

    The scale of y is that of the largest sum, rounded up to a power of two.
    """
    if trial.op == "matmul_integer":
        points = (*zero_points, 0)
        return product_case(trial.scheme, a, b, zero_points=points, op=trial.op)
    x, w = a.astype(np.int64) - zero_points[0], b.astype(np.int64) - zero_points[1]
    sums = x @ w + (0 if bias is None else bias.astype(np.int64))
    largest = max(1, int(np.abs(sums).max()) if sums.size else 1)
    step = 2.0 ** max(0, largest.bit_length() - 7)
    y = middle(types_of(trial.op, trial.scheme)["y"])
    scales, points = (1.0, 1.0, step), (*zero_points, y)
    return product_case(trial.scheme, a, b, scales, points, bias=bias)


def codes(kind: str, shape: tuple[int, ...], seed: int) -> Array:
    """Return codes of a type: the ends, and anything between."""
    qmin, qmax = code_range(kind)
    random = np.random.default_rng(seed)
    found = random.integers(qmin, qmax + 1, shape)
    ends = random.random(shape)
    return np.where(ends < 0.2, qmin, np.where(ends > 0.8, qmax, found))


@prop("ACC-01", "pair_saturation", ops=_MATRICES, clause=_CLAUSE, catches="2.1")
def pairs(trial: Trial) -> None:
    """The largest codes of one sign, next to each other, add up exactly for K from 2 to 4096."""
    kinds = plain(trial)
    ends = [code_range(kind) for kind in kinds]
    points = tuple(middle(kind) for kind in kinds)
    cases = []
    for length in _LENGTHS:
        rows = np.stack([np.full(length, ends[0][1]), np.full(length, ends[0][0])])
        columns = np.stack(
            [
                np.full(length, ends[1][1]),
                np.full(length, ends[1][0]),
                np.where(np.arange(length) // 2 % 2, ends[1][0], ends[1][1]),
            ],
            axis=1,
        )
        for za in (points[0], ends[0][0]):
            cases.append(products_of(trial, rows, columns, (za, points[1])))
    trial.expect(*cases)


@prop("ACC-02", "s8_min", ops=_MATRICES, clause=_CLAUSE, catches="2.1")
def smallest(trial: Trial) -> None:
    """The product of the two smallest codes, the one without a negative, is counted as it is."""
    kinds = plain(trial)
    low = [code_range(kind)[0] for kind in kinds]
    if max(low) >= 0:
        trial.skip("unsigned codes have no smallest one without a negative")
    points = (0 if low[0] else 128, 0 if low[1] else 128)
    cases = []
    for length in (1, 2, 3, 4, 8, 16, 32, 64, 100, 1024):
        a, b = np.full((2, length), low[0]), np.full((length, 2), low[1])
        a[1, 0] += 1
        cases.append(products_of(trial, a, b, points))
    trial.expect(*cases)


@prop("ACC-03", "extreme_K", ops=_MATRICES, clause=_CLAUSE, catches="2.9")
def longest(trial: Trial) -> None:
    """Sums just inside int32 are exact; beyond, they are what the contract says."""
    kinds = plain(trial)
    ends = [code_range(kind) for kind in kinds]
    za, zb = ends[0][0], middle(kinds[1])
    largest = (ends[0][1] - za) * (ends[1][1] - zb)
    inside = (2**31 - 1) // largest
    cases = []
    for length in (inside, inside + 1, inside + 100):
        a, b = np.full((1, length), ends[0][1]), np.full((length, 1), ends[1][1])
        cases.append(products_of(trial, a, b, (za, zb)))
    trial.expect(*cases)


@prop("ACC-04", "zero_point_algebra", ops=_MATRICES, clause=_CLAUSE, catches="2.8")
def zero_points(trial: Trial) -> None:
    """Every zero point of both operands, the corners first, is taken off before the product."""
    kinds = plain(trial)
    choices = []
    for kind in kinds:
        qmin, qmax = code_range(kind)
        choices.append(sorted({qmin, qmin + 1, middle(kind), qmax - 1, qmax}))
    if trial.op == "qlinear_matmul":
        choices[1] = [middle(kinds[1]), middle(kinds[1]) + 1, code_range(kinds[1])[1]]
    cases = []
    base = stream(trial)
    for k, points in enumerate(product(*choices)):
        a, b = (
            codes(kinds[0], (4, 19), base + k),
            codes(kinds[1], (19, 5), base + 100 + k),
        )
        cases.append(products_of(trial, a, b, (points[0], points[1])))
    trial.expect(*cases)


@prop("ACC-09", "pad_with_zp", ops=_CONVOLUTIONS, clause="ONNX QLinearConv-10: pads with x's zero "
      "point, which stands for 0", catches="2.8")  # fmt: skip
def padding(trial: Trial) -> None:
    """Padding gives what a border of the zero point gives."""
    kinds = plain(trial)
    group = 4 if trial.op == "qlinear_depthwise_conv" else 1
    cases = []
    for k, pads in enumerate(((1, 1, 1, 1), (1, 0, 0, 0), (0, 0, 2, 1), (2, 2, 2, 2))):
        x = codes(kinds[0], (1, 4, 5, 6), stream(trial) + k)
        w = codes(kinds[1], (4, 4 // group, 3, 3), stream(trial) + 100 + k)
        zx = code_range(kinds[0])[0] + 17 * (k + 1)
        points = (zx, middle(kinds[1]), middle(kinds[0]))
        top, left, bottom, right = pads
        border = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=zx)
        for image, around in ((x, pads), (border, (0, 0, 0, 0))):
            cases.append(conv_case(trial.scheme, image, w, (0.02, 0.01, 0.5), points,
                                   op=trial.op, pads=around, group=group))  # fmt: skip
    answers = trial.ask_all(cases)
    for case, padded, explicit in zip(cases[::2], answers[::2], answers[1::2], strict=True):
        if padded.result is None or explicit.result is None:
            trial.fail(case, f"refused: {padded.reason or explicit.reason}")
        seen, wanted = padded.result.outputs["y"], explicit.result.outputs["y"]
        if seen.shape != wanted.shape or not np.array_equal(seen, wanted):
            trial.fail(case, f"padding {case.params['pads']} is not a border of the zero point",
                       expected={"y": wanted}, observed={"y": seen})  # fmt: skip


@prop("ACC-10", "conv_is_gemm", ops=_CONVOLUTIONS, clause="ONNX Conv-22: strides, pads, dilations, "
      "group", catches="-")  # fmt: skip
def windows(trial: Trial) -> None:
    """Every stride, dilation, pad on one side and group is a product of the window's elements."""
    plain(trial)
    trial.expect(*shapes(trial.scheme, depthwise=trial.op == "qlinear_depthwise_conv"))


@prop("ACC-11", "bias", ops=("qlinear_matmul", *_CONVOLUTIONS), clause=_CLAUSE, catches="2.9")
def biases(trial: Trial) -> None:
    """A bias is added to the sum before it is rescaled, the largest and smallest int32 too."""
    kinds = plain(trial)
    values = np.array([0, 1, -1, 2**24 + 1, -(2**30), 2**31 - 1, -(2**31), 12345])
    points = (middle(kinds[0]), middle(kinds[1]), middle(kinds[0]))
    cases = []
    for k, step in enumerate((2.0**-5, 2.0**-18, 2.0**-25)):
        scales = (1.0, step, 1.0)
        if trial.op == "qlinear_matmul":
            a, b = codes(kinds[0], (3, 9), k), codes(kinds[1], (9, 8), k + 9)
            cases.append(product_case(trial.scheme, a, b, scales, points, bias=values))
            continue
        group = 8 if trial.op == "qlinear_depthwise_conv" else 1
        x, w = codes(kinds[0], (1, 8, 3, 3), k), codes(kinds[1], (8, 8 // group, 2, 2), k + 9)
        cases.append(
            conv_case(trial.scheme, x, w, scales, points, bias=values, op=trial.op, group=group)
        )
    trial.expect(*cases)


@prop("ACC-14", "fp32_emulation", ops=_MATRICES, clause=_CLAUSE, catches="2.9")
def odd_sums(trial: Trial) -> None:
    """Odd sums beyond 2^24, which no float32 holds, are exact, and their neighbours differ."""
    kinds = plain(trial)
    if trial.op != "matmul_integer":
        trial.skip("codes of y show no single steps of such sums")
    ends = [code_range(kind) for kind in kinds]
    za, zb = ends[0][0], middle(kinds[1])
    cases = []
    for length in (600, 1100, 2100, 5000):
        a, b = np.full((4, length), ends[0][1]), np.full((length, 3), ends[1][1])
        a[:, 0] = za + np.arange(4)
        b[0] = zb + np.array([1, 2, 3])
        cases.append(products_of(trial, a, b, (za, zb)))
    trial.expect(*cases)


@prop("ACC-15", "matmulinteger_exact", ops=("matmul_integer",), clause=_CLAUSE, catches="2.9")
def integers(trial: Trial) -> None:
    """Integer outputs are compared as integers: every element of products of all sizes."""
    kinds = plain(trial)
    cases = []
    for k, (rows, length, columns) in enumerate(((1, 1, 1), (7, 33, 5), (32, 64, 48), (3, 700, 9))):
        a = codes(kinds[0], (rows, length), stream(trial) + k)
        b = codes(kinds[1], (length, columns), stream(trial) + k + 50)
        cases.append(products_of(trial, a, b, (middle(kinds[0]) + k, middle(kinds[1]) + k)))
    trial.expect(*cases)
