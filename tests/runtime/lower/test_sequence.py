"""How operators of sequences become steps: what is copied, what is packed, and how often."""

from pathlib import Path

import numpy as np

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Quant
from tests.runtime.lower.steps import kernels, session_of


def test_a_table_of_codes_stays_one_byte_an_element(tmp_path: Path) -> None:
    b = Builder("g")
    ids = b.input("ids", ("N", "T"), dtype="int32")
    b.constant("s", np.full((64, 1), 0.5, np.float32))
    codes = np.arange(64 * 256).reshape(64, 256).astype(np.int8)
    table = b.constant("table", codes, quant=Quant("s", 0, (1, 256)))
    session = session_of(
        tmp_path, b.graph([b.node("Gather", [table, ids], name="y", contract=preset("ort"))])
    )
    assert kernels(session) == ["gather_decoded"], "decoded as it is copied"
    assert session.plan.consts.size < 2 * codes.size, "no float table anywhere"
    got = session.run({"ids": np.array([[3, -1]], np.int32)})["y"]
    assert np.array_equal(got[0], codes[[3, -1]] * np.float32(0.5)), "two rows"


def test_weights_are_packed_once_for_all_lengths(tmp_path: Path) -> None:
    b = Builder("g")
    x = b.input("x", ("N", "T", 32))
    w = b.constant("w", np.random.default_rng(0).standard_normal((32, 48)).astype(np.float32))
    session = session_of(tmp_path, b.graph([b.node("MatMul", [x, w], name="y")]))
    before = session._constants.size
    for steps in (1, 3, 40, 200):
        session.run({"x": np.zeros((1, steps, 32), np.float32)})
        assert session._constants.size == before, f"{steps} steps"
        assert np.shares_memory(session.plan.consts, session._constants.memory), "one block"


def test_axes_of_length_one_cost_nothing(tmp_path: Path) -> None:
    b = Builder("g")
    x = b.input("x", ("N", "T", 3))
    wide = b.node("Unsqueeze", [x], attributes={"axes": (1,)})
    y = b.node("Neg", [b.node("Squeeze", [wide], attributes={"axes": (1,)})], name="y")
    assert kernels(session_of(tmp_path, b.graph([y]))) == ["unary_f32"], "other words for bytes"


def test_an_int32_is_no_copy_of_itself(tmp_path: Path) -> None:
    b = Builder("g")
    x = b.input("x", ("N", 3), dtype="int32")
    y = b.node("Cast", [b.node("Cast", [x], attributes={"to": 6})], attributes={"to": 1}, name="y")
    assert kernels(session_of(tmp_path, b.graph([y]))) == ["cast"], "one of two"
