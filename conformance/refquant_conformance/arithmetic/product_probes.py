r"""Cases of matrix products: any accumulator from codes alone, and the multipliers that tell.

Backends take codes, not accumulators, and many take no bias. With rows :math:`(i, 127, \dots, 127)`
for i = -128 ... 127 and a column :math:`(1, b_1, \dots, b_{K-1})`,

.. math::

    acc = i + 127 S, \qquad S = \sum b_k    \tag{1}

is every integer near 127 S, so a few columns reach every tie of a multiplier. Of int8, -128 is left
out here: engines of symmetric codes have none. That it is a code, ACC-02 asks.

The multipliers: powers of two, whose ties are exact; three scales of which the four ways to form a
multiplier make neighbours of 1/64, 3/64 and 5/64; one that is 2^31 - 1/2 in fixed point; one that
rounds to 2^31; awkward ones.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from refquant_conformance.operators import types_of
from refquant_conformance.protocol import Array, Case, Param
from refquant_conformance.types import code_range, storage

__all__ = [
    *("FORMED", "SCALES", "integer_probes", "large", "middle", "middle_of_y", "near_ties"),
    *("probes", "product_case", "rows_and_columns", "zero_points"),
]

Scales = tuple[float, float, float]

FORMED: tuple[Scales, ...] = tuple(
    (float.fromhex(a), float.fromhex(b), float.fromhex(y))
    for a, b, y in (
        ("0x1.46e37ap-4", "0x1.f44342p-7", "0x1.3f6516p-4"),
        ("0x1.7a27c6p-4", "0x1.bc3e3cp-7", "0x1.b57b46p-6"),
        ("0x1.6300c6p-4", "0x1.7608d0p-7", "0x1.59ca3cp-6"),
        ("0x1.a42e14p-4", "0x1.c52366p-7", "0x1.297fdap-6"),
        ("0x1.2688cap-4", "0x1.0ace10p-7", "0x1.99499ep-7"),
    )
)
"""Scales of which the ways to form a multiplier make different neighbours of k/64."""

SCALES: tuple[Scales, ...] = (
    (0.5, 0.25, 0.5),  # ties at every second accumulator
    (0.25, 2.0**-8, 1.0),
    (1 - 2.0**-16, 1 + 2.0**-16, 2.0),  # 2^31 - 1/2 in fixed point: a tie of the multiplier
    (1 + 2.0**-23, 1 - 2.0**-23, 1.0),  # rounds to 2^31: the carry
    (1 - 2.0**-17, 0.5, 0.5),  # 15 bits of it are 2^15 - 1 or 2^15
    (0.1, 0.0375, 0.1),
    (1 / 3, 1 / 127, 0.03),
    (0.02, 0.003, 0.02),
    (2.0**-5, 2.0**-13, 0.2),  # long sums, which float32 holds in any order
)
"""Scales whose multipliers differ in their ties, and in how many bits they need."""


def product_case(
    scheme: str,
    a: Array,
    b: Array,
    scales: tuple[float, float | Array, float] = (1.0, 1.0, 1.0),
    zero_points: tuple[int, int | Array, int] = (0, 0, 0),
    *,
    bias: Array | None = None,
    op: str = "qlinear_matmul",
    **params: Param,
) -> Case:
    """Return the case of a product of ``a`` (M, K) and ``b`` (K, N), in the types of the scheme.

    Scale and zero point of b become one a column where the scheme says so.

    >>> case = product_case("u8_i8", np.ones((2, 3)), np.ones((3, 4)), bias=np.zeros(4))
    >>> case.inputs["b"].dtype.name, case.inputs["bias"].dtype.name
    ('int8', 'int32')
    """
    types = types_of(op, scheme)
    columns = (b.shape[1],) if scheme.endswith("_channel") else ()
    given: dict[str, Array] = {"a": a, "b": b}
    for name, scale, point in zip(("a", "b", "y"), scales, zero_points, strict=True):
        shape = columns if name == "b" else ()
        if op == "qlinear_matmul":
            given[f"{name}_scale"] = np.broadcast_to(np.asarray(scale), shape or np.shape(scale))
        if f"{name}_zero_point" in types:
            given[f"{name}_zero_point"] = np.broadcast_to(
                np.asarray(point), shape or np.shape(point)
            )
    if bias is not None:
        given["bias"] = bias
    inputs = {name: np.asarray(array, storage(types[name])) for name, array in given.items()}
    shape_of = {"clamp_min": None, "clamp_max": None} if op == "qlinear_matmul" else {}
    return Case(op, scheme, inputs, {**shape_of, **params}, types=types)


def middle(code: str) -> int:
    """Return the zero point that centres the codes of a type.

    >>> middle("uint8"), middle("int8")
    (128, 0)
    """
    qmin, qmax = code_range(code)
    return 0 if qmin < 0 else (qmax + 1) // 2


def rows_and_columns(
    scheme: str, targets: Sequence[int], *, op: str = "qlinear_matmul"
) -> tuple[Array, Array]:
    """Return codes a (256, K) and b (K, N) that reach all accumulators near ``targets``: eq. (1).

    Zero points are ``middle``. Column n has the accumulators from ``127 S - 128`` on.

    >>> a, b = rows_and_columns("u8_i8", [1000])
    >>> acc = (a.astype(int) - 128) @ b.astype(int)
    >>> int(acc.min()), int(acc.max())
    (888, 1143)
    """
    types = types_of(op, scheme)
    za, zb = middle(types["a"]), middle(types["b"])
    sums = [round(target / 127) for target in targets]
    width = max(1, -(-max(abs(s) for s in sums) // 127))
    a = np.full((256, 1 + width), 127)
    a[:, 0] = np.arange(-128, 128).clip(min=-128 if za else -127)
    b = np.ones((1 + width, len(sums)), np.int64)
    for n, total in enumerate(sums):
        each, rest = divmod(abs(total), width)
        column = np.full(width, each)
        column[:rest] += 1
        b[1:, n] = column if total >= 0 else -column
    return (a + za).astype(storage(types["a"])), (b + zb).astype(storage(types["b"]))


def zero_points(scheme: str, y: int) -> tuple[int, int, int]:
    types = types_of("qlinear_matmul", scheme)
    return middle(types["a"]), middle(types["b"]), y


def near_ties(scheme: str, scales: Scales, y_zero_point: int) -> Case:
    """Return the case whose accumulators lie around ties of a multiplier, from end to end."""
    m = float(np.float32(scales[0])) * float(np.float32(scales[1])) / float(np.float32(scales[2]))
    qmin, qmax = code_range(types_of("qlinear_matmul", scheme)["y"])
    codes = np.linspace(qmin - y_zero_point, qmax - y_zero_point, 16).round() + 0.5
    codes = np.concatenate([codes, [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]])
    targets = sorted({round(code / m) for code in codes})
    a, b = rows_and_columns(scheme, targets)
    return product_case(scheme, a, b, scales, zero_points(scheme, y_zero_point))


def probes(scheme: str) -> Sequence[Case]:
    """Return the cases that tell the axes of a product apart."""
    types = types_of("qlinear_matmul", scheme)
    qmin, qmax = code_range(types["y"])
    center = middle(types["y"])
    odd = (center + 3, qmax - 6, qmin + 1)
    found = [near_ties(scheme, scales, odd[k % 3]) for k, scales in enumerate((*SCALES, *FORMED))]
    found += [near_ties(scheme, SCALES[k], center) for k in (0, 3, 5)]
    found.append(large(scheme, 2**24 + 2**20, 2.0**-18 / 3))
    found += [saturating(scheme), overflowing(scheme)]
    if scheme.endswith("_channel"):
        found.append(columns_differ(scheme))
    return [*found, _long(scheme), _biased(scheme)]


def _long(scheme: str) -> Case:
    """Return sums of small codes at ties, which the order of a sum of reals decides."""
    za, zb, zy = zero_points(scheme, middle_of_y(scheme))
    a = (np.arange(200 * 150) * 2_654_435_761 >> 7) % 7 - 3
    b = (np.arange(150 * 200) * 2_246_822_519 >> 9) % 7 - 3
    codes = a.reshape(200, 150) + za, b.reshape(150, 200) + zb
    return product_case(scheme, *codes, (0.1, 0.05, 0.01), (za, zb, zy))


def _biased(scheme: str) -> Case:
    """Return near-ties with a bias: for who keeps it as a real. Many engines take none."""
    case = near_ties(scheme, FORMED[1], middle_of_y(scheme) + 5)
    bias = np.arange(case.inputs["b"].shape[1], dtype=np.int32) * 104_729 % 5_003 - 2_500
    return replace(case, inputs={**case.inputs, "bias": bias})


def large(scheme: str, reach: int, multiplier: float) -> Case:
    """Return the case of accumulators around ties up to ``reach``, beyond what float32 counts.

    Every product is even, so that float32 holds every sum of reals too, in any order.
    """
    unit = 2.0 ** math.floor(math.log2(multiplier))
    step = float(np.float32(unit / multiplier))
    m = unit / step
    top = int(reach * m)
    targets = [round((code + 0.5) / m) for code in (*range(top - 4, top), *range(-top, 4 - top))]
    a, b = rows_and_columns(scheme, [target // 2 for target in targets])
    za, zb, zy = zero_points(scheme, middle_of_y(scheme))
    parts = [2 * ((b.astype(np.int64) - zb + k) // 3) for k in range(3)]  # b twice, of even codes
    thrice = np.concatenate([a[:, :1], a[:, :1], a[:, :1], *[a[:, 1:]] * 3], axis=1)
    codes = np.concatenate([*(p[:1] for p in parts), *(p[1:] for p in parts)]) + zb
    return product_case(scheme, thrice, codes, (1.0, unit, step), (za, zb, zy))


def middle_of_y(scheme: str) -> int:
    """Return the zero point that centres the output of a scheme."""
    return middle(types_of("qlinear_matmul", scheme)["y"])


def _extremes(scheme: str, length: int) -> tuple[Array, Array, tuple[int, int]]:
    """Return a row and a column of the largest codes, and zero points far from them."""
    types = types_of("qlinear_matmul", scheme)
    low_a, high_a = code_range(types["a"])
    high_b = code_range(types["b"])[1]
    return np.full((1, length), high_a), np.full((length, 1), high_b), (low_a, middle(types["b"]))


def saturating(scheme: str) -> Case:
    """Return the case whose sums of two products are no int16, all of one sign."""
    a, b, (za, zb) = _extremes(scheme, 64)
    both = np.concatenate([b, 2 * zb - b], axis=1)
    scales = (1.0, 2.0**-15, 1.0)
    return product_case(scheme, a, both, scales, (za, zb, middle_of_y(scheme)))


def overflowing(scheme: str) -> Case:
    """Return the case of one sum beyond int32."""
    a, b, (za, zb) = _extremes(scheme, 70_000)
    return product_case(scheme, a, b, (1.0, 2.0**-25, 1.0), (za, zb, middle_of_y(scheme)))


def columns_differ(scheme: str) -> Case:
    """Return a case whose columns have different scales, the same codes otherwise."""
    a, b = rows_and_columns(scheme, [-900, -300, 300, 900])
    scales = np.array([0.25, 0.1, 1 / 3, 0.0375], np.float32)
    return product_case(scheme, a, b, (0.5, scales, 1.0), zero_points(scheme, middle_of_y(scheme)))


def integer_probes(scheme: str) -> Sequence[Case]:
    """Return the cases of MatMulInteger: those of the product, without scales."""
    cases = (saturating(scheme), overflowing(scheme), near_ties(scheme, SCALES[5], 0))
    types = types_of("matmul_integer", scheme)
    kept = ("a", "b", "a_zero_point", "b_zero_point")
    return [
        replace(
            case,
            op="matmul_integer",
            inputs={name: case.inputs[name] for name in kept},
            params={},
            types=types,
        )
        for case in cases
    ]
