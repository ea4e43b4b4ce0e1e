"""Codes between an algorithm and a file: nothing is lost on the way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.checkpoint import open_checkpoint
from refquant.model.coded import Coded, add_coded, coded_reals, from_tensors, tensors
from refquant.model.graph import Node
from refquant.model.quantize_layer import round_layer
from refquant.model.recipe_rules import Weights

F32 = np.float32


def f32(values: object) -> Any:
    return np.array(values, np.float32)


def i32(values: object) -> Any:
    return np.array(values, np.int32)


CODES = np.array([[-4, 3, 1, 0], [2, -1, -3, 3]], np.int8)

CODED: dict[str, Coded] = {
    "one scale": Coded("int3", CODES, f32(0.25), i32(1), None, None),
    "rows": Coded("int3", CODES, f32([[0.5], [2]]), i32([[0], [0]]), (1, 4), None),
    "groups": Coded("int4", CODES, f32([[1, 2], [3, 4]]), i32([[0, 1], [-2, 3]]), (1, 2), None),
    "float zero points": Coded(
        "int8", CODES, f32([[1, 2], [3, 4]]), f32([[0.5, 1], [-2, 0.1]]), (1, 2), None
    ),
    "another order": Coded(
        "int8", CODES, f32([[1, 2], [3, 4]]), i32([[0, 0], [1, 0]]), (1, 2), i32([[1, 0, 0, 1]])
    ),
}


def _same(a: Coded, b: Coded) -> bool:
    arrays = zip(tensors(a).items(), tensors(b).items(), strict=True)
    fields = (a.dtype, a.block_shape, a.format) == (b.dtype, b.block_shape, b.format)
    return fields and all(
        n == m and x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
        for (n, x), (m, y) in arrays
    )


@pytest.mark.parametrize("name", CODED)
def test_a_checkpoint_gives_back_what_it_was_given(name: str, tmp_path: Path) -> None:
    coded = CODED[name]
    open_checkpoint(tmp_path / "p", {"graph": "g"}, resume=False).save("a", tensors(coded), {})
    found = open_checkpoint(tmp_path / "p", {"graph": "g"}, resume=True).load("a")
    assert found is not None, "it was saved"
    again = from_tensors(found[0], dtype=coded.dtype, block_shape=coded.block_shape)
    assert _same(coded, again), f"{name}: {tensors(again)}"


@pytest.mark.parametrize("form", ["nf4", "fp8_e4m3", "mxfp4", "nvfp4"])
def test_so_do_formats_with_a_table(form: str, tmp_path: Path) -> None:
    w = np.random.default_rng(1).standard_normal((64, 3)).astype(F32)
    rules = Weights(format=form) if form != "fp8_e4m3" else Weights(format=form, bits=8)
    node = Node("y", "MatMul", ("x", "w"), ("y",))
    coded = round_layer(node, w, rules, contract=preset("ort"), name="w")
    open_checkpoint(tmp_path / "p", {"graph": "g"}, resume=False).save("a", tensors(coded), {})
    found = open_checkpoint(tmp_path / "p", {"graph": "g"}, resume=True).load("a")
    assert found is not None, "it was saved"
    block = coded.block_shape
    again = from_tensors(found[0], dtype=coded.dtype, block_shape=block, format=form)
    assert _same(coded, again), f"{form}: {tensors(again)}"
    assert coded_reals(again).tobytes() == coded_reals(coded).tobytes(), "the same numbers"


def test_what_codes_mean_by_hand() -> None:
    expected: dict[str, Any] = {
        "one scale": (CODES - 1) * 0.25,
        "rows": CODES * np.array([[0.5], [2]]),
        "groups": [[-4, 3, 0, -2], [12, 3, -24, 0]],
        "float zero points": [[-4.5, 2.5, 0, -2], [12, 3, -12.4, 11.6]],
        "another order": [[-8, 3, 1, 0], [8, -6, -12, 12]],
    }
    for name, reals in expected.items():
        got = coded_reals(CODED[name])
        assert got.tolist() == np.asarray(reals, F32).tolist(), f"{name}: {got}"


@pytest.mark.parametrize("name", CODED)
def test_the_same_twice_is_one_constant_and_another_is_another(name: str) -> None:
    coded, b = CODED[name], Builder("g")
    assert add_coded(b, "w", coded) == add_coded(b, "w", coded, suffix="again") == "w", "once"
    before = set(b.constants)
    changed = Coded(coded.dtype, -coded.codes, *[getattr(coded, f) for f in (
        "scale", "zero_point", "block_shape", "g_idx")])  # fmt: skip
    assert add_coded(b, "w", changed, suffix="other") == "w/other", "another weight"
    assert set(b.constants) > before, "beside the first"


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"scale and zero_point must be \(2, 2\)"):
        Coded("int4", CODES, f32([[1], [2]]), i32([[0], [0]]), (1, 2), None)
