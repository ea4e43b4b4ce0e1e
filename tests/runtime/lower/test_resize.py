"""ResizeLinear in the runtime, and what it refuses of a file that says other things."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph, Quant
from refquant.model.rq import write_rq
from refquant.model.validate import GraphError
from refquant_runtime import FormatError, Session
from tests.runtime.lower.steps import kernels, session_of
from tests.runtime.zoo import graph_of, with_graph

RNG = np.random.default_rng(8)


def graph(dtype: str, channels: int, *, bits: int = 10, rounding: str = "half_away") -> Graph:
    b, quant = Builder("g"), Quant(0.5, 3)
    x = b.input("x", ("N", channels, 4, 5), dtype=dtype, quant=quant)
    places = [
        np.concatenate([RNG.integers(0, n, (7, 2)), RNG.integers(0, (1 << bits) + 1, (7, 1))], 1)
        for n in (4, 5)
    ]
    for p, n in zip(places, (4, 5), strict=True):
        p[0, :2] = n - 1, 0
    rows, columns = (
        b.constant(name, p.astype(np.int32))
        for name, p in zip(("rows", "columns"), places, strict=True)
    )
    own: dict[str, Any] = {"bits": bits, "rounding": rounding}
    made = b.node("ResizeLinear", [x, rows, columns], attributes=own, dtype=dtype, quant=quant,
                  name="y")  # fmt: skip
    return b.graph([made])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rounding", ["half_up", "half_away"])
@pytest.mark.parametrize(
    ("dtype", "channels", "bits"), [("int8", 3, 11), ("uint8", 17, 10), ("int8", 1, 1)]
)
def test_codes_are_the_reference_s(
    dtype: str, channels: int, bits: int, rounding: str, threads: int, tmp_path: Path
) -> None:
    g = graph(dtype, channels, bits=bits, rounding=rounding)
    write_rq(tmp_path / "m.rq", g)
    limits = np.iinfo(dtype)
    x = RNG.integers(limits.min, limits.max + 1, (3, channels, 4, 5)).astype(dtype)
    x[0] = limits.min
    x[1] = limits.max
    made = Session(tmp_path / "m.rq", threads=threads).run({"x": x})["y"]
    assert np.array_equal(made, run(g, {"x": x})["y"]), "the same codes"


def test_an_image_is_turned_and_resized(tmp_path: Path) -> None:
    names = kernels(session_of(tmp_path, graph("int8", 3)))
    assert names.count("resize_linear") == 1, "one step does it"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 12}, "bits must be in"),
        ({"bits": 1}, "weights must be in"),
        ({"rounding": "half_even"}, "rounding"),
    ],
)
def test_a_graph_that_is_no_resize(change: dict[str, Any], message: str) -> None:
    g = graph("int8", 3)
    given = {**g.nodes[0].attributes, **change}
    b, quant = Builder("g"), Quant(0.5, 3)
    x = b.input("x", ("N", 3, 4, 5), dtype="int8", quant=quant)
    held = [b.constant(name, g.constants[name]) for name in ("rows", "columns")]
    with pytest.raises((GraphError, ValueError), match=message):
        b.graph([
            b.node("ResizeLinear", [x, *held], attributes=given, dtype="int8", quant=quant)
        ])  # fmt: skip


def _bits(tree: dict[str, Any], bits: int) -> None:
    tree["nodes"][0]["attributes"]["bits"] = bits


@pytest.mark.parametrize(
    ("edit", "rule"),
    [
        (lambda t: _bits(t, 1), r"'rows' has places outside of 4 or weights outside"),
        (lambda t: _bits(t, 12), r"bits is in \[1, 11\]"),
        (lambda t: t["nodes"][0]["attributes"].pop("rounding"), "the attributes bits and rounding"),
        (lambda t: t["values"]["y"]["quant"].update(scale=1.0), "equal parameters"),
        (lambda t: t["values"]["x"].update(shape=["N", 3, 3, 5]), "'rows' has places outside of 3"),
        (lambda t: t["values"]["x"].pop("quant"), "8-bit codes with quant"),
    ],
)
def test_a_file_that_says_otherwise_is_refused(edit: Any, rule: str, tmp_path: Path) -> None:
    write_rq(tmp_path / "m.rq", graph("int8", 3))
    data = (tmp_path / "m.rq").read_bytes()
    tree = graph_of(data)
    edit(tree)
    (tmp_path / "m.rq").write_bytes(with_graph(data, tree))
    with pytest.raises(FormatError, match=rule):
        Session(tmp_path / "m.rq", threads=1)
