r"""The exact oracle of sums of products of reals in an engine's order, one sum at a time.

Every operation is one rounding of an exact number. The orders are those that ``real_sums`` tells of
in words; here they are written down for one output: which products are added to what, and when.

References
----------
onnxruntime 1.32, ``onnxruntime/core/mlas/lib``: ``sgemm.cpp``, ``x86_64/SgemmKernelM1Avx.S``,
``x86_64/SgemmKernelM1TransposeBAvx.S``.
"""

from collections.abc import Sequence

from refquant_conformance.rational import add, fused, multiply

__all__ = ["real_sum_exact"]

Reals = Sequence[float]


def real_sum_exact(
    a: Reals,
    b: Reals,
    *,
    order: str,
    shape: tuple[int, int],
    at: tuple[int, int],
    start: float = 0.0,
    transposed: bool = False,
) -> float:
    """Return output ``at`` of a product of ``shape`` (M, N); ``a`` is its row, ``b`` its column.

    >>> ones = [1.0, 1.0, 1.0, 1.0]
    >>> [real_sum_exact([1.0, 1.0, 1.0, 2.0**24], ones, order="reals_mlas", shape=(1, 1), at=(0, 0),
    ...                 transposed=how) for how in (False, True)]
    [16777220.0, 16777218.0]
    """
    rows, columns = shape
    if order == "reals_fused":
        return add(_chain(a, b), start)
    if order != "reals_mlas":
        raise ValueError(f"order must be reals_fused or reals_mlas; got {order!r}")
    if rows == 1 and not transposed:
        return _fours(a, b, start)
    if rows == 1:
        return add(_lanes(a, b, at[1], columns), start)
    if columns == 1:
        return add(_lanes(a, b, at[0], rows), start)
    size = 128
    if columns < len(a):  # the fewer columns, the longer the panel that holds them
        size = next((128 * 128 // width for width in (16, 32, 64) if columns <= width), 128)
    total = start
    for first in range(0, len(a), size):
        total = add(total, _chain(a[first : first + size], b[first : first + size]))
    return total


def _chain(a: Reals, b: Reals) -> float:
    total = 0.0
    for p, q in zip(a, b, strict=True):
        total = fused(p, q, total)
    return total


def _fours(a: Reals, b: Reals, start: float) -> float:
    products = [multiply(p, q) for p, q in zip(a, b, strict=True)]
    total, first = start, 0
    for size in (4, 2, 1):
        while len(products) - first >= size:
            part = products[first]
            for product in products[first + 1 : first + size]:
                part = add(part, product)
            total, first = add(part, total), first + size
    return total


def _lanes(a: Reals, b: Reals, place: int, count: int) -> float:
    """Return a dot product by eight lanes; how they are added is the place's of ``count`` rows."""
    v = [0.0] * 8
    for k, (p, q) in enumerate(zip(a, b, strict=True)):
        v[k % 8] = add(v[k % 8], multiply(p, q))
    if place < count // 4 * 4:
        low, high = (add(add(add(v[h], v[h + 1]), v[h + 2]), v[h + 3]) for h in (0, 4))
        return add(low, high)
    if place < count // 2 * 2:
        even, odd = (add(add(v[h], v[h + 2]), add(v[h + 4], v[h + 6])) for h in (0, 1))
        return add(even, odd)
    low, high = (add(add(v[h], v[h + 1]), add(v[h + 2], v[h + 3])) for h in (0, 4))
    return add(low, high)
