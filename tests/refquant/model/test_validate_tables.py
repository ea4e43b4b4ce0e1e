"""Tables, float zero points, g_idx and scales of codes: each rule broken once."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant, Value
from refquant.model.params import qparams_of
from refquant.model.validate import GraphError
from refquant.model.validate_quant import check_quant
from refquant.model.validate_tables import needs_version_2

TABLE = np.array([0, 1, 2, np.nan], np.float32)
GOOD: dict[str, tuple[str, Quant]] = {
    "table": ("uint2", Quant("s", 0, (2, 2), table="t")),
    "one scale": ("uint2", Quant(0.5, 0, None, table="t")),
    "scale 0": ("uint2", Quant(0.0, 0, None, table="t")),
    "scales 0 and subnormal": ("uint2", Quant("tiny", 0, (2, 2), table="t")),
    "float zero point": ("uint3", Quant("s", "f", (2, 2))),
    "one scale, float zero points": ("int7", Quant(0.5, "f", (2, 2))),
    "g_idx": ("int3", Quant("s", 1, (2, 2), g_idx="g")),
    "g_idx and a table": ("uint2", Quant("s", 0, (2, 2), table="t", g_idx="g")),
    "g_idx and float zero points": ("uint8", Quant("s", "f", (2, 2), g_idx="g")),
    "g_idx of rows": ("int3", Quant("s", 1, (2, 2), g_idx="rows")),
    "scales of codes": ("uint2", Quant("c", 0, (2, 2), table="t")),
    "scales of codes on a ruler": ("int4", Quant("k", 0, (2, 2))),
}
BAD: list[tuple[str, Quant, str]] = [
    ("uint4", Quant("s", 0, (2, 2), table="t"), "entry for each of the 16 codes"),
    ("uint2", Quant("s", 0, (2, 2), table="none"), "'none' is a float32 constant .* got none"),
    ("uint2", Quant("s", 0, (2, 2), table="g"), "float32 constant"),
    ("int2", Quant("s", 0, (2, 2), table="t"), "a table goes with unsigned codes"),
    ("uint2", Quant("s", 1, (2, 2), table="t"), "zero_point 0, got uint2 and 1"),
    ("uint2", Quant("s", "f", (2, 2), table="t"), "zero_point 0"),
    ("uint2", Quant("s", 0, (2, 2), table="inf"), "finite, or NaN for no code"),
    ("uint2", Quant("s", 0, (2, 2), table="hole"), "code 1 has no meaning: its entry is NaN"),
    ("uint2", Quant(-0.5, 0, None, table="t"), "finite and not negative"),
    ("uint2", Quant("bad", 0, (2, 2), table="t"), "finite and not negative"),
    ("uint2", Quant(3e38, 0, None, table="t"), "exactly a float32"),
    ("uint2", Quant(2.0**127, 0, None, table="t"), "largest mark times its scale is finite"),
    ("uint2", Quant("nan", 0, (2, 2), table="t"), "code 3 has no meaning: its entry is NaN"),
    ("uint2", Quant("deep", 0, (2, 2), table="t"), "'deep', a constant of float32 .* got uint8"),
    ("uint2", Quant("plain", 0, (2, 2), table="t"), "'plain', a constant of float32 .* got uint8"),
    ("int16", Quant("s", "f", (2, 2)), "at most 8 bits, got int16"),
    ("int32", Quant("s", "f", (2, 2)), "at most 8 bits, got int32"),
    ("int4", Quant("s", "wild", (2, 2)), "zero_point must be finite"),
    ("int4", Quant(2.0**126, "f", (2, 2)), "largest mark times its scale is finite"),
    ("int3", Quant(0.5, 0, None, g_idx="g"), "g_idx stands with block_shape"),
    ("int3", Quant("s", 0, (2, 2), g_idx="none"), "g_idx 'none' is an int32 .* got none"),
    ("int3", Quant("s", 0, (2, 2), g_idx="s"), "int32 constant of 2 axes.* got float32"),
    ("int3", Quant("s", 0, (2, 2), g_idx="square"), r"value \[3, 5\], got int32 \[3, 5\]"),
    ("int3", Quant("s", 0, (2, 2), g_idx="short"), r"got int32 \[1, 4\]"),
    ("int3", Quant("s", 0, (2, 2), g_idx="flat"), r"got int32 \[5\]"),
    ("int3", Quant("s", 0, (2, 2), g_idx="one"), r"got int32 \[1, 1\]"),
    ("int3", Quant("s", 0, (2, 2), g_idx="far"), r"each group 2 times.* 5 indices of 0\.\.3"),
    ("int3", Quant("s", 0, (2, 2), g_idx="below"), r"each group 2 times.* of -1\.\.2"),
    ("int3", Quant("s", 0, (2, 2), g_idx="often"), "each group 2 times, in any order"),
    ("int16", Quant("s", 0, (2, 2), g_idx="g"), "a g_idx goes with constants of at most 8 bits"),
]  # fmt: skip


def graph(dtype: str, quant: Quant) -> Graph:
    """A graph of the constant w (3, 5) and of everything that may be named."""
    u8 = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    arrays: dict[str, Any] = {
        "w": np.tile(np.array([0, 1, 2], np.int8), 5).reshape(3, 5), "t": TABLE,
        "s": np.full((2, 3), 0.5, np.float32), "f": np.full((2, 3), 1.25, np.float32),
        "tiny": np.array([[0, 1e-40, 1]] * 2, np.float32), "inf": np.array([0, 1, 2, np.inf], "f"),
        "hole": np.array([0, np.nan, 2, 3], np.float32), "c": u8, "k": u8 + 1, "nan": u8 + 1,
        "bad": np.array([[1, np.nan, 1]] * 2, np.float32), "deep": u8, "plain": u8,
        "wild": np.array([[1, np.inf, 1]] * 2, np.float32),
        "g": np.array([[2, 0, 1, 1, 0]], np.int32), "rows": np.array([[1], [0], [0]], np.int32),
        "short": np.array([[0, 0, 1, 1]], np.int32), "flat": np.array([0, 0, 1, 1, 2], np.int32),
        "square": np.zeros((3, 5), np.int32), "far": np.array([[0, 0, 1, 1, 3]], np.int32),
        "below": np.array([[-1, 0, 1, 1, 2]], np.int32), "one": np.zeros((1, 1), np.int32),
        "often": np.array([[0, 0, 0, 1, 2]], np.int32), "step": np.ones((2, 3), np.uint8),
    }  # fmt: skip
    values = {n: Value(a.dtype.name, a.shape) for n, a in arrays.items()}
    values["w"] = Value(dtype, (3, 5), quant)
    for name in ("c", "nan"):  # with 3 it names a code of no meaning
        values[name] = Value("uint8", (2, 3), Quant(0.75, 0, None, table="t256"))
    arrays["t256"] = np.concatenate([TABLE, np.full(252, np.nan, np.float32)])
    values["t256"] = Value("float32", (256,))
    values["k"] = Value("uint6", (2, 3), Quant(0.25, 0))
    values["deep"] = Value("uint8", (2, 3), Quant("step", 0, (1, 1)))
    return Graph("g", (), (), values, (), arrays, {}, {})


@pytest.mark.parametrize("case", GOOD)
def test_good_ones_pass(case: str) -> None:
    g = graph(*GOOD[case])
    check_quant(g, "w", negative=())
    assert needs_version_2(g, "w"), "they are of version 2"


@pytest.mark.parametrize(("dtype", "quant", "message"), BAD, ids=[m for _, _, m in BAD])
def test_a_broken_rule_is_named(dtype: str, quant: Quant, message: str) -> None:
    with pytest.raises(ValueError, match=f"quant.*{message}"):
        check_quant(graph(dtype, quant), "w", negative=())


@pytest.mark.parametrize("case", [case for case in GOOD if case != "scales of codes on a ruler"])
def test_integer_arithmetic_has_no_use_for_them(case: str) -> None:
    with pytest.raises(ValueError, match="beside a float32 activation only"):
        qparams_of(graph(*GOOD[case]), "w")


@pytest.mark.parametrize("quant", [
    Quant(0.5, 0, None, table="t"), Quant(0.5, 0, None, g_idx="g"),
])  # fmt: skip
def test_computed_values_have_numbers_only(quant: Quant) -> None:
    b = Builder("g")
    b.constant("t", TABLE)
    b.constant("g", np.zeros((1, 2), np.int32))
    x = b.input("x", ("N", 2), dtype="uint8", quant=quant)
    with pytest.raises(GraphError, match="goes with constants of at most 8 bits"):
        b.graph([b.node("Identity", [x])])


@pytest.mark.parametrize("op", ["MatMul", "MatMulIntegerToFloat"])
def test_a_product_of_codes_refuses_a_table(op: str) -> None:
    b, ort = Builder("g"), preset("ort")
    b.constant("t", np.arange(256, dtype=np.float32))
    w = b.constant("w", np.ones((2, 2), np.uint8), quant=Quant(0.5, 0, None, table="t"))
    x = b.input("x", ("N", 2))
    if op == "MatMul":
        q = b.node("QuantizeLinear", [x], contract=ort, dtype="uint8", quant=Quant(0.5, 0))
        y = b.node(op, [q, w], contract=ort, dtype="uint8", quant=Quant(0.5, 0))
    else:
        b.node_with("DynamicQuantizeLinear", [x], ["q", "s", "z"], name="d", contract=ort)
        y = b.node(op, ["q", w, "s", "z"], contract=ort)
    with pytest.raises(GraphError, match="beside a float32 activation only"):
        b.graph([y])


def test_the_first_version_has_words_for_everything_else() -> None:
    plain = Graph("g", (), (), {"w": Value("int4", (2,), Quant(0.5, 0))}, (), {}, {}, {})
    assert not needs_version_2(plain, "w"), "a ruler of a dtype of version 1"
    ranked = Graph("g", (), (), {"w": Value("uint7", (2,))}, (), {}, {}, {})
    assert needs_version_2(ranked, "w"), "a dtype of version 2"
