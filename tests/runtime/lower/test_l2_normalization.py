"""L2Normalization in the runtime, and what it refuses of a file that says other things."""

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
from tests.runtime.zoo import graph_of, with_graph

UNIT = Quant(2.0**-7, 0)


def graph(n: int, *, zero: int = 3, y: Quant = UNIT, x: str = "int8", rank: int = 3) -> Graph:
    b = Builder("g")
    shape: tuple[int | str, ...] = ("N", *(4,) * (rank - 2), n)
    given = b.input("x", shape, dtype=x, quant=None if x == "float32" else Quant(0.5, zero))
    return b.graph([b.node("L2Normalization", [given], name="y", dtype="int8", quant=y)])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("n", "zero"), [(1, 0), (7, -128), (64, 127), (500, 3), (20000, -128)])
def test_codes_are_the_reference_s(n: int, zero: int, threads: int, tmp_path: Path) -> None:
    g = graph(n, zero=zero)
    write_rq(tmp_path / "m.rq", g)
    x = np.random.default_rng(n).integers(-128, 128, (3, 4, n)).astype(np.int8)
    x[0, 0], x[0, 1], x[1, 0], x[1, 1] = -128, 127, zero, min(zero + 1, 127)
    made = Session(tmp_path / "m.rq", threads=threads).run({"x": x})["y"]
    assert np.array_equal(made, run(g, {"x": x})["y"]), "the same codes"


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"y": Quant(2.0**-8, 0)}, r"of scale 2\^-7 and zero point 0"),
        ({"y": Quant(2.0**-7, 1)}, r"of scale 2\^-7 and zero point 0"),
        ({"x": "uint8"}, "x is int8 with quant"),
        ({"x": "float32"}, "x is int8 with quant"),
        ({"n": 33026}, "C from 1 to 33025"),
        ({"n": 0}, "C from 1 to 33025"),
    ],
)
def test_a_graph_that_is_no_normalization(own: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        graph(**{"n": 5, **own})


@pytest.mark.parametrize(
    ("edit", "rule"),
    [
        (lambda t: t["values"]["y"]["quant"].update(scale=1.0), r"has scale 2\^-7"),
        (lambda t: t["values"]["y"]["quant"].update(zero_point=1), r"has scale 2\^-7"),
        (lambda t: t["values"]["x"].pop("quant"), "'x' is int8 with quant"),
        (lambda t: t["values"]["x"].update(dtype="uint8"), "'x' is int8 with quant"),
        (
            lambda t: [t["values"][n].update(shape=["N", 4, 33026]) for n in "xy"],
            "1 to 33025 codes",
        ),
        (lambda t: [t["values"][n].update(shape=["N", 4, 0]) for n in "xy"], "1 to 33025 codes"),
    ],
)
def test_a_file_that_says_otherwise_is_refused(edit: Any, rule: str, tmp_path: Path) -> None:
    write_rq(tmp_path / "m.rq", graph(5))
    data = (tmp_path / "m.rq").read_bytes()
    tree = graph_of(data)
    edit(tree)
    (tmp_path / "m.rq").write_bytes(with_graph(data, tree))
    with pytest.raises(FormatError, match=rule):
        Session(tmp_path / "m.rq", threads=1)
