"""Round to nearest: every weight at its nearest mark, groups that know only themselves."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.rtn import check_weight, min_max, rtn
from refquant.contracts import preset

F32 = NDArray[np.float32]


def weights(seed: int, n: int = 5, k: int = 12) -> F32:
    w = np.random.default_rng(seed).standard_normal((n, k)).astype(np.float32)
    w[0] = 0.0
    w[1, :6] = 1e-30
    w[2, 3] = 200.0
    w[3] = np.abs(w[3])
    return w


@pytest.mark.parametrize("dtype", ["uint2", "uint4", "uint8"])
@pytest.mark.parametrize("group_size", [None, 1, 3, 6])
@pytest.mark.parametrize("symmetric", [False, True])
def test_no_mark_is_nearer(dtype: str, group_size: int | None, symmetric: bool) -> None:
    w = weights(1)
    q = rtn(w, group_size=group_size, dtype=dtype, symmetric=symmetric, contract=preset("gptq"),
            clip=min_max)  # fmt: skip
    qmax = 2 ** int(dtype[4:]) - 1
    assert (q.num_bits, q.signed) == (int(dtype[4:]), False), "what the codes are"
    for (i, j), value in np.ndenumerate(w):
        scale = Fraction(float(q.scale[i, q.g_idx[j]]))
        zero = int(q.zero_point[i, q.g_idx[j]])
        marks = [abs((code - zero) * scale - Fraction(float(value))) for code in range(qmax + 1)]
        # Rounding x / s to float32 moves x by 2^-24 of itself; a tie may then go the other way.
        slack = abs(Fraction(float(value))) / 2**23
        assert marks[q.codes[i, j]] <= min(marks) + slack, f"{dtype}, w[{i}, {j}] = {value}"


def test_a_group_knows_only_itself() -> None:
    w = weights(2)
    options: dict[str, Any] = {
        "dtype": "uint4", "symmetric": False, "contract": preset("gptq"), "clip": min_max,
    }  # fmt: skip
    whole = rtn(w, group_size=4, **options)
    for g in range(3):
        part = rtn(np.ascontiguousarray(w[:, 4 * g : 4 * g + 4]), group_size=None, **options)
        assert np.array_equal(part.codes, whole.codes[:, 4 * g : 4 * g + 4]), f"group {g}"
        assert np.array_equal(part.scale[:, 0], whole.scale[:, g]), f"scale of group {g}"


def test_the_clip_decides_the_range() -> None:
    w = np.array([[-1.0, 0.5, 8.0, 0.25]], np.float32)

    def half(groups: F32) -> tuple[F32, F32]:
        assert groups.shape == (2, 2), "groups, one a row"
        lo, hi = min_max(groups)
        return np.asarray(lo / 2, np.float32), np.asarray(hi / 2, np.float32)

    q = rtn(w, group_size=2, dtype="uint8", symmetric=False, contract=preset("gptq"), clip=half)
    assert q.dequantize()[0, 2] == 4.0, "8 is cut to 4"


def test_signed_codes_of_another_contract() -> None:
    w = np.array([[-7.0, 3.4, 1.0, 0.0]], np.float32)
    q = rtn(w, group_size=None, dtype="int4", symmetric=True, contract=preset("onnx"), clip=min_max)
    assert (q.codes.tolist(), q.signed) == ([[-7, 3, 1, 0]], True), "scale 1, zero point 0"


def test_a_single_weight_and_the_largest() -> None:
    for value in (3.0, -0.1, 0.0, 1e38):
        w = np.full((1, 1), value, np.float32)
        q = rtn(w, group_size=1, dtype="uint8", symmetric=False, contract=preset("gptq"),
                clip=min_max)  # fmt: skip
        error = abs(float(q.dequantize()[0, 0]) - float(w[0, 0]))
        assert error <= abs(value) * 2.0**-22, f"the end of its own range: {value}"


def test_bad_matrices_are_refused() -> None:
    good = np.ones((2, 3), np.float32)
    for bad, words in (
        (good.astype(np.float64), "got float64"),
        (good[0], "not empty, got float32"),
        (good[:0], "not empty"),
        (good * np.float32(np.nan), "finite, got 6"),
        (good * np.float32(np.inf), "finite, got 6"),
    ):
        with pytest.raises(ValueError, match=words):
            check_weight(bad)  # type: ignore[arg-type]  # a float64 on purpose
    for size in (0, 2, 4):
        with pytest.raises(ValueError, match="group_size must divide the 3"):
            rtn(good, group_size=size, dtype="uint4", symmetric=False, contract=preset("gptq"),
                clip=min_max)  # fmt: skip
