"""What lies between four codes of an image: sums of products, in float or in fixed point.

The ways have the names of the axis ``interpolate`` of :mod:`.resize`, which says what each does.
"""

import numpy as np
from numpy.typing import NDArray

from refquant_conformance.protocol import Array

__all__ = ["divided", "interpolated", "ratio"]

Places = NDArray[np.int64]
Float = NDArray[np.float32]
Size = tuple[int, int]
_HALF, _ONE = np.float32(0.5), np.float32(1)


def ratio(n: int, m: int, coordinates: str) -> np.float32:
    """Return elements a place."""
    if coordinates == "align_corners" and m > 1:
        return np.float32(n - 1) / np.float32(m - 1)
    return np.float32(n) / np.float32(m)


def divided(n: int, m: int, coordinates: str) -> Float:
    """Return where places look, by the scale m / n."""
    i, scale = np.arange(m, dtype=np.float32), np.float32(m) / np.float32(n)
    if coordinates == "asymmetric":
        return i / scale
    if coordinates == "half_pixel":
        return (i + _HALF) / scale - _HALF
    return i * np.float32(n - 1) / np.float32(max(m - 1, 1))


def interpolated(
    codes: Array, to: Size, coordinates: str, how: str, rule: tuple[np.float32, int]
) -> Array | None:
    """Return the codes, not clamped, of int64 codes (n, channels, rows, columns); None: refused."""
    scale, zero = rule
    if how == "fixed_10":
        return _fixed_10(codes, to, coordinates)
    if how == "fixed_11":
        return _fixed_11(codes, to, coordinates)
    if how == "half_up":
        return _half_up(codes.astype(np.float32), to, coordinates)
    if how == "truncated":
        return np.trunc(_by_reals(codes.astype(np.float32), to, coordinates))
    if how == "rounded_f64":
        return np.rint(_in_float64(codes.astype(np.float32), to, coordinates))
    real = (codes - zero).astype(np.float32) * scale
    if how == "of_reals_f64":
        made = _in_float64(real, to, coordinates).astype(np.float32)
    else:
        made = _by_reals(real, to, coordinates)
    return np.asarray(np.rint(made / scale) + zero)


def _clamped_halves(n: int, m: int, coordinates: str) -> tuple[Places, Places, Float, Float]:
    """Return two elements of each place, and the distances to them; halves where they are one."""
    place = np.clip(divided(n, m, coordinates), np.float32(0), np.float32(n - 1))
    first = np.minimum(place.astype(np.int64), n - 1)
    second = np.minimum(first + 1, n - 1)
    apart = [
        np.where(first == second, _HALF, np.abs(place - one.astype(np.float32)))
        for one in (first, second)
    ]
    return first, second, apart[0], apart[1]


def _by_reals(x: Float, to: Size, coordinates: str) -> Float:
    y1, y2, down, up = _clamped_halves(x.shape[2], to[0], coordinates)
    x1, x2, right, left = _clamped_halves(x.shape[3], to[1], coordinates)
    top, bottom = x[:, :, y1], x[:, :, y2]
    up, down = up[:, None], down[:, None]
    total = left * up * top[..., x1] + right * up * top[..., x2]
    total = total + left * down * bottom[..., x1]
    return np.asarray(total + right * down * bottom[..., x2], np.float32)


def _in_float64(x: Float, to: Size, coordinates: str) -> NDArray[np.float64]:
    y = x.astype(np.float64)
    for axis, m in zip((2, 3), to, strict=True):
        n = y.shape[axis]
        i, scale = np.arange(m, dtype=np.float64), m / n
        place = i / scale
        if coordinates == "half_pixel":
            place = (i + 0.5) / scale - 0.5
        elif coordinates == "align_corners":
            place = i * (n - 1) / max(m - 1, 1)
        place = np.clip(place, 0, n - 1)
        first = np.floor(place).astype(np.int64)
        second = np.minimum(first + 1, n - 1)
        part = (place - first).reshape([-1 if k == axis else 1 for k in range(4)])
        y = np.take(y, first, axis) * (1 - part) + np.take(y, second, axis) * part
    return y


def _half_up(x: Float, to: Size, coordinates: str) -> Array:
    found = []
    for n, m in zip(x.shape[2:], to, strict=True):
        place = np.arange(m, dtype=np.float32)
        step = ratio(n, m, coordinates)
        place = (place + _HALF) * step - _HALF if coordinates == "half_pixel" else place * step
        first = np.maximum(np.floor(place), 0).astype(np.int64)
        second = np.minimum(np.ceil(place), n - 1).astype(np.int64)
        found.append((first, second, place - first.astype(np.float32)))
    (y1, y2, down), (x1, x2, right) = found
    down = down[:, None]
    up, left = _ONE - down, _ONE - right
    top, bottom = x[:, :, y1], x[:, :, y2]
    total = top[..., x1] * up * left + bottom[..., x1] * down * left
    total = total + top[..., x2] * up * right
    return np.asarray(np.trunc(total + bottom[..., x2] * down * right + _HALF))


def _fixed_10(x: Array, to: Size, coordinates: str) -> Array | None:
    found = []
    for n, m in zip(x.shape[2:], to, strict=True):
        scale = (1024 * n + m // 2) // m
        if coordinates == "align_corners" and m > 1:
            scale = (1024 * (n - 1) + (m - 1) // 2) // (m - 1)
        place = np.arange(m) * scale
        if coordinates == "half_pixel":
            place = place + scale // 2 - 512
        first = np.maximum(np.trunc(place / 1024), 0).astype(np.int64)
        if (first >= n).any():
            return None
        second = np.minimum(np.trunc((place + 1023) / 1024), n - 1).astype(np.int64)
        found.append((first, second, place - 1024 * first))
    (y1, y2, down), (x1, x2, right) = found
    down = down[:, None]
    top, bottom = x[:, :, y1], x[:, :, y2]
    upper = top[..., x1] * (1024 - right) + top[..., x2] * right
    lower = bottom[..., x1] * (1024 - right) + bottom[..., x2] * right
    total = upper * (1024 - down) + lower * down
    return np.asarray(np.sign(total) * ((np.abs(total) + (1 << 19)) >> 20))


def _fixed_11(x: Array, to: Size, coordinates: str) -> Array:
    found = []
    for n, m in zip(x.shape[2:], to, strict=True):
        step = ratio(n, m, coordinates)
        place = np.arange(m, dtype=np.float32) * step
        if coordinates == "half_pixel":
            place = place + (_HALF * step - _HALF)
        place = np.clip(place, np.float32(0), np.float32(n - 1))
        first = place.astype(np.int64)
        part = np.rint((place - first.astype(np.float32)) * np.float32(2048)).astype(np.int64)
        found.append((first, np.minimum(first + 1, n - 1), part))
    (y1, y2, down), (x1, x2, right) = found
    top, bottom = x[:, :, y1], x[:, :, y2]
    upper = (top[..., x1] << 11) + (top[..., x2] - top[..., x1]) * right
    lower = (bottom[..., x1] << 11) + (bottom[..., x2] - bottom[..., x1]) * right
    return np.asarray(((upper << 11) + (lower - upper) * down[:, None] + (1 << 21)) >> 22)
