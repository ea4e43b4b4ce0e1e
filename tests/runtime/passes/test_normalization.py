"""A batch normalization has the reference's bits, in both orders of channels."""

from pathlib import Path

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.rq import write_rq
from refquant_runtime import Session, UnsupportedError
from tests.runtime.sequence_cases import reals
from tests.runtime.test_equivalence import same_bits

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("space", [(), (5,), (4, 3)])
def test_bits_are_those_of_the_reference(space: tuple[int, ...], tmp_path: Path) -> None:
    b = Builder("g")
    parameters = np.abs(reals(RNG, (4, 17), odd=0.1))
    parameters[3, :2] = -1, 0  # a variance that is none: NaN; and only epsilon under the root
    names = [b.constant(n, row) for n, row in zip("somv", parameters, strict=True)]
    x = b.input("x", ("N", 17, *space))
    y = b.node("BatchNormalization", [x, *names], name="y", attributes={"epsilon": 1e-3})
    ys = [y]
    if space:  # behind a pool channels lie last
        pool = b.node("MaxPool", [x], attributes={"kernel_shape": (1,) * len(space)})
        ys.append(b.node("BatchNormalization", [pool, *names], name="last"))
    graph = b.graph(ys)
    write_rq(tmp_path / "m.rq", graph)
    feeds = {"x": reals(RNG, (3, 17, *space), odd=0.1)}
    with np.errstate(all="ignore"):
        expected = run(graph, feeds)
    for threads in (1, 2):
        session = Session(tmp_path / "m.rq", threads=threads)
        got = session.run(feeds)
        session.close()
        for name in graph.outputs:
            assert same_bits(expected[name], got[name]), f"{name}, {threads} threads"


def test_computed_numbers_are_beyond_it(tmp_path: Path) -> None:
    b = Builder("g")
    x, v = b.input("x", (2, 3)), b.input("v", (3,))
    write_rq(tmp_path / "m.rq", b.graph([b.node("BatchNormalization", [x, v, v, v, v], name="y")]))
    with pytest.raises(UnsupportedError, match="a normalization by computed numbers is not"):
        Session(tmp_path / "m.rq", threads=1)
