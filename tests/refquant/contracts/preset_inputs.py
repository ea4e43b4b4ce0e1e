"""Inputs that tell contracts apart: floats around ties, beyond ranges, ranges of all kinds."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import preset
from refquant.formats.affine import QParams, choose_qparams, dequantize, quantize

Float32 = NDArray[np.float32]
Array = NDArray[Any]

SCALES = (1.0, 0.25, 0.1, 1 / 3, 1 / 255, 0.007874016, 0.00214854861, 3.0e-38, 1.2e30)

_FAR = np.array([2.0**31, 2.0**31 - 128, 2.0**24 + 2, 2.0**63, 3e9, 3.4e38, np.inf, 0, 1e-45])
EDGES: Float32 = np.concatenate([_FAR, -_FAR, [np.nan]]).astype(np.float32)


TIES: Float32 = np.array(
    [-13.0, -0.25, -0.15, -0.05, 0.05, 0.15, 0.25, 12.65, 3e9, -3e9, np.inf, -np.inf, np.nan],
    np.float32,
)
"""Ties of the scale 0.1, or as near as float32 comes; both ends; what is no number."""


def codes_of_ties(name: str) -> list[int | None]:
    """int8 codes of ``TIES``, scale 0.1, zero point 1 or none; None for a NaN without a code."""
    contract = preset(name)
    zero_point = np.int32(contract.zero_point != "none")
    p = QParams(np.float32(0.1), zero_point, None, "int8")
    if contract.nan == "error":
        return [*quantize(TIES[:-1], p, contract=contract).tolist(), None]
    codes: list[int | None] = quantize(TIES, p, contract=contract).tolist()
    return codes


def ties(scale: float, zero_point: int, qmin: int, qmax: int) -> Float32:
    """Every tie of the codes, and two floats on each side of it."""
    k = np.arange(qmin, qmax + 1) - zero_point
    with np.errstate(over="ignore", under="ignore"):
        tie = ((k + 0.5) * np.float64(np.float32(scale))).astype(np.float32)
        moved = [tie]
        for end in (-np.inf, np.inf):
            one = np.nextafter(tie, np.float32(end))
            moved += [one, np.nextafter(one, np.float32(end))]
    return np.concatenate(moved)


def rulers(
    dtype: str, zero_points: tuple[int, ...], *, edges: Float32 = EDGES
) -> Iterator[tuple[Float32, QParams]]:
    """Inputs around every tie and at the edges, for each scale and zero point."""
    for scale in SCALES:
        for zero_point in zero_points:
            qparams = QParams(np.float32(scale), np.int32(zero_point), None, dtype)
            yield np.concatenate([ties(scale, zero_point, *qparams.full_range), edges]), qparams


def differing_codes(
    name: str,
    dtype: str,
    zero_points: tuple[int, ...],
    theirs: Callable[[Float32, QParams], Array],
    *,
    edges: Float32 = EDGES,
) -> list[str]:
    """Say where the preset and the tool make different codes, at most five places."""
    found = []
    for x, qparams in rulers(dtype, zero_points, edges=edges):
        mine = quantize(x, qparams, contract=preset(name)).astype(np.int64)
        other = np.asarray(theirs(x, qparams)).astype(np.int64)
        found += [
            f"{x[i]!r} / {qparams.scale!r} + {qparams.zero_point}: {mine[i]}, theirs {other[i]}"
            for i in np.flatnonzero(mine != other)
        ]
    return found[:5]


def ranges() -> Array:
    """Ranges of all sizes and kinds, (n, 2) float32, lo <= hi."""
    rng = np.random.default_rng(0)
    n = 400
    wild = np.sort(rng.normal(size=(n, 2)) * 10.0 ** rng.uniform(-30, 30, (n, 1)), axis=1)
    plain = np.sort(rng.normal(size=(n, 2)), axis=1)
    around = rng.uniform(0, 1, (n, 2)) * [-1, 1]
    k = rng.integers(0, 256, n) + 0.5  # lo / s is a tie
    tied = np.stack([-k, 255 - k], axis=1) * 2.0 ** rng.integers(-6, 3, (n, 1))
    special = [
        *[(0, 0), (-0.0, 0), (5, 5), (-5, -5), (-1, 1), (-1e38, 1e38), (0, 1e-4), (0, 9e-5)],
        *[(1, 1.00005), (-1e-5, 1e-5), (1e-7, 2e-7), (-1e-3, 1e-3), (0, 1), (-1, 0), (0, 1e-3)],
        *[(-1e-3, 0), (0, 1e-9), (-1e-9, 0), (-(2.0**-24), 2.0**-24), (2, 3), (-3, -2)],
    ]
    return np.concatenate([wild, plain, around, tied, special]).astype(np.float32)


def differing_parameters(
    name: str,
    dtype: str,
    symmetric: bool,
    theirs: Callable[[np.float32, np.float32], tuple[float, float]],
    *,
    every: int = 1,
) -> list[str]:
    """Say for which ranges scale or zero point differ, at most five."""
    found = []
    for lo, hi in ranges()[::every]:
        mine = choose_qparams(lo, hi, dtype=dtype, symmetric=symmetric, contract=preset(name))
        scale, zero_point = theirs(lo, hi)
        if (float(mine.scale), float(mine.zero_point)) != (scale, zero_point):
            found.append(f"[{lo!r}, {hi!r}]: {mine}, theirs {scale!r}, {zero_point!r}")
    return found[:5]


def rows(dtype: str) -> Iterator[Float32]:
    """Rows whose values lie around the ties of their own range; both ends come first."""
    for lo, hi in ranges()[::4]:
        with np.errstate(over="ignore", invalid="ignore"):
            if dtype.startswith("u"):
                steps = 2 ** int(dtype[4:]) - 1
                inner = lo + (np.arange(steps) + 0.5) * ((hi - lo) / np.float32(steps))
            else:
                qmax = 2 ** (int(dtype[3:]) - 1) - 1
                amax = max(abs(lo), abs(hi))
                inner = (np.arange(-qmax, qmax) + 0.5) * (amax / np.float32(qmax))
        x = np.concatenate([[lo, hi], inner]).astype(np.float32)
        x = np.concatenate(
            [x, np.nextafter(x, np.float32(-np.inf)), np.nextafter(x, np.float32(9))]
        )
        yield np.clip(x, lo, hi)


def differing_rows(
    name: str,
    dtype: str,
    symmetric: bool,
    theirs: Callable[[Float32], tuple[Array, Array | None]],
) -> list[str]:
    """Say which rows the tool quantizes otherwise, from range to codes to reals; at most five."""
    found = []
    for x in rows(dtype):
        contract = preset(name)
        qparams = choose_qparams(
            x.min(), x.max(), dtype=dtype, symmetric=symmetric, contract=contract
        )
        mine = quantize(x, qparams, contract=contract)
        codes, reals = theirs(x)
        wrong = mine.astype(np.int64) != np.asarray(codes).astype(np.int64)
        if reals is not None:
            wrong |= dequantize(mine, qparams) != reals
        found += [
            f"{x[i]!r} in [{x.min()!r}, {x.max()!r}]: {mine[i]}, theirs {codes[i]}"
            for i in np.flatnonzero(wrong)
        ]
    return found[:5]
