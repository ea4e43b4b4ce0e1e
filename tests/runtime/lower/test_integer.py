"""Integer layers: seeds, parts of wide weights, groups; each against exact integers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant.model.rq import write_rq
from refquant_runtime import Session
from refquant_runtime.lower.integer import _int8_parts, _wrap


@given(st.lists(st.integers(-510, 510), min_size=1, max_size=20))
def test_wide_weights_are_a_sum_of_int8_parts(values: list[int]) -> None:
    matrix = np.array([values], np.int32)
    parts = _int8_parts(matrix)
    total = np.sum([p.astype(np.int64) for p in parts], axis=0)
    assert total.tolist() == [values], "the parts add up"
    assert all(p.dtype == np.int8 for p in parts), "each fits int8"
    fits = min(values) >= -128 and max(values) <= 127
    assert (len(parts) == 1) is fits, f"{len(parts)} parts for {min(values)} to {max(values)}"


def test_seeds_keep_their_low_bits() -> None:
    values = np.array([0, -1, 2**31, -(2**31) - 1, 2**33 + 5], np.int64)
    assert _wrap(values).tolist() == [0, -1, -(2**31), 2**31 - 1, 5], "modulo 2^32"


@pytest.mark.parametrize("wd", ["int8", "uint8"])
@pytest.mark.parametrize("zero", [0, 100])
def test_conv_integer_with_any_zero_points_is_exact(wd: str, zero: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(zero)
    b = Builder("conv")
    x = b.input("x", ("N", 4, 5, 5), dtype="int8")
    w = rng.choice([0, 1, 127, 128, 255], (6, 2, 3, 3)).astype(np.uint8).view(wd)
    names = [b.constant("w", w), b.constant("xz", np.array(-9, np.int8)),
             b.constant("wz", np.array(zero).astype(wd))]  # fmt: skip
    y = b.node("ConvInteger", [x, names[0], names[1], names[2]], name="y", contract=preset("ort"),
               attributes={"group": 2, "pads": [1, 1, 1, 1]})  # fmt: skip
    path = tmp_path / "m.rq"
    write_rq(path, b.graph([y]))
    codes = rng.integers(-128, 128, (1, 4, 5, 5)).astype(np.int8)
    actual = Session(path, threads=2).run({"x": codes})["y"]
    padded = np.zeros((4, 7, 7), np.int64)
    padded[:, 1:-1, 1:-1] = codes[0].astype(np.int64) + 9
    for m in range(6):
        part = padded[2 * (m // 3) : 2 * (m // 3) + 2]
        for i, j in np.ndindex(5, 5):
            exact = (part[:, i : i + 3, j : j + 3] * (w[m].astype(np.int64) - zero)).sum()
            assert actual[0, m, i, j] == exact, f"output {m} at {i}, {j}"


def test_the_clamp_of_a_layer_is_in_codes(tmp_path: Path) -> None:
    b = Builder("clamp")
    x = b.input("x", ("N", 1), dtype="uint8", quant=Quant(1.0, 10))
    w = b.constant("w", np.array([[1, -1]], np.int8), quant=Quant(1.0, 0))
    y = b.node("MatMul", [x, w], name="y", contract=preset("ort"), dtype="uint8",
               quant=Quant(1.0, 10), attributes={"clamp_min": 8, "clamp_max": 40})  # fmt: skip
    path = tmp_path / "m.rq"
    write_rq(path, b.graph([y]))
    actual = Session(path, threads=1).run({"x": np.array([[0], [11], [255]], np.uint8)})["y"]
    assert actual.tolist() == [[8, 20], [11, 9], [40, 8]], f"{actual.tolist()}"
