"""Formats are recognized by what they are: tables, scales, zero points."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.cli.inspect_weights import describe_weights
from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.coded import add_coded
from refquant.model.encode_tables import encode_weight
from refquant.model.graph import Graph, Quant
from refquant.model.rq import write_rq

Refquant = Callable[..., Any]
W = np.random.default_rng(1).standard_normal((64, 32)).astype(np.float32)


def layer(b: Builder, name: str) -> Graph:
    y = b.node("MatMul", [b.input("x", ("N", 64)), name], name="y", contract=preset("ort"))
    return b.graph([y])


@pytest.mark.parametrize(
    ("format", "block", "bits"),
    [
        ("nf4", (64, 1), 4.5), ("fp8_e4m3", (64, 1), 8.5), ("fp8_e4m3", None, 8.0),
        ("mxfp4", (32, 1), 4.25), ("nvfp4", (16, 1), 4.5),
    ],
)  # fmt: skip
def test_a_table_is_known_by_its_numbers(
    format: str, block: tuple[int, ...] | None, bits: float
) -> None:
    b = Builder("g")
    name = add_coded(b, "w", encode_weight(W, format=format, block_shape=block))
    found = describe_weights(layer(b, name))
    assert [w["format"] for w in found] == [format], f"{found}"
    assert found[0]["bits_per_weight"] == bits, "codes and scales, without the table"
    assert found[0]["runtime"] == "decoded by table", f"{found}"


def test_rulers_are_native() -> None:
    b = Builder("g")
    codes = np.zeros((64, 32), np.uint8)
    b.constant("s", np.ones((2, 32), np.float32))
    b.constant("z", np.full((2, 32), 0.5, np.float32))
    g = b.constant("g", np.repeat([0, 1], 32).astype(np.int32).reshape(64, 1))
    b.constant("w", codes, dtype="uint3", quant=Quant("s", "z", (32, 1), g_idx=g))
    found = describe_weights(layer(b, "w"))[0]
    assert found["format"] == "uint3, float zero points, g_idx", f"{found}"
    assert found["bits_per_weight"] == 3 + 32 / 32 + 32 / 32 + 32 / 32, "scale, zero point, index"
    assert found["runtime"] == "native", "decoded by arithmetic"


def test_other_tables_have_no_name() -> None:
    b = Builder("g")
    b.constant("t", np.arange(16, dtype=np.float32))
    b.constant("s", np.ones((2, 32), np.uint8), quant=Quant(0.5, 0))
    w = b.constant("w", np.zeros((64, 32), np.uint8), dtype="uint4",
                   quant=Quant("s", 0, (32, 1), table="t"))  # fmt: skip
    found = describe_weights(layer(b, w))[0]
    assert found["format"] == "a table of 16, codes scales", f"{found}"


def test_the_command_says_so(refquant: Refquant, tmp_path: Path) -> None:
    b, path = Builder("g"), tmp_path / "q.rq"
    write_rq(path, layer(b, add_coded(b, "w", encode_weight(W, format="mxfp4",
                                                            block_shape=(32, 1)))))  # fmt: skip
    done = refquant("inspect", path)
    assert done.code == 0, done.err
    for phrase in ("mxfp4", "4.25", "decoded by table", "bits/weight"):
        assert phrase in done.out, f"{phrase!r} is not in:\n{done.out}"
    done = refquant("inspect", path, "--json")
    assert json.loads(done.out)["weights"][0]["format"] == "mxfp4", done.out
