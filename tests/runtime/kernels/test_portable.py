"""The plain loops, run as plain Python: the same lines, before numba compiles them."""

import numpy as np
import pytest

from refquant_runtime.kernels import portable
from refquant_runtime.kernels.packing import pack_f32_weights, pack_int8_weights


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the two intrinsics, which exist in compiled code only."""
    monkeypatch.setattr(portable, "opaque", lambda n: n)
    monkeypatch.setattr(portable, "as_i8", lambda array: array.view(np.int8))


@pytest.mark.parametrize("flip", [0, 0x80808080])
def test_int8_loops_are_the_definition(flip: int) -> None:
    rng = np.random.default_rng(0)
    taps, k, mr, nr = 2, 5, 2, 3
    a = rng.integers(0, 256, 40, np.uint8)
    w = rng.integers(-128, 128, (taps * k, nr), np.int8)
    offs = np.array([3, 20, 11, 0], np.int32)
    out = np.full(mr * nr, 77, np.int32)
    packed = pack_int8_weights(w, taps=taps, nr=nr)
    portable.int8_loops.py_func(a, offs, taps, 2, packed, out, 0, flip, mr, nr)
    for r in range(mr):
        for n in range(nr):
            want = sum(
                (int(a[offs[t * mr + r] + i]) ^ (flip & 255)) * int(w[t * k + i, n])
                for t in range(taps)
                for i in range(k)
            )
            assert out[r * nr + n] == want, f"row {r}, column {n}"


def test_f32_loops_are_the_definition() -> None:
    rng = np.random.default_rng(0)
    taps, k, mr, nr = 2, 5, 2, 3
    a = rng.standard_normal(40).astype(np.float32)
    w = rng.standard_normal((taps * k, nr)).astype(np.float32)
    offs = np.array([3, 20, 11, 0], np.int32)
    out = np.full(mr * nr, 77, np.float32)
    packed = pack_f32_weights(w, nr=nr)
    portable.f32_loops.py_func(a, offs, taps, k, packed, out, 0, mr, nr)
    for r in range(mr):
        for n in range(nr):
            want = np.float32(0)
            for t in range(taps):
                for i in range(k):
                    want = np.float32(want + np.float32(a[offs[t * mr + r] + i] * w[t * k + i, n]))
            assert out[r * nr + n] == want, f"row {r}, column {n}"
