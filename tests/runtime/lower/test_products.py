"""MatMul of two computed tensors: leading dimensions, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.rq import write_rq
from refquant_runtime import Session, UnsupportedError


def product(folder: Path, a: tuple[int, ...], b: tuple[int, ...]) -> Path:
    builder = Builder("product")
    x = builder.input("x", ("N", *a))
    z = builder.constant("z", np.arange(np.prod(b), dtype=np.float32).reshape(b))
    path = folder / "m.rq"
    write_rq(path, builder.graph([builder.node("MatMul", [x, z], name="y")]))
    return path


def test_weights_of_rank_three_broadcast_over_the_batch(tmp_path: Path) -> None:
    path = product(tmp_path, (3, 4), (1, 4, 2))
    x = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    y = Session(path, threads=1).run({"x": x})["y"]
    expected = x @ np.arange(8, dtype=np.float32).reshape(4, 2)
    assert np.array_equal(y, expected), f"{y} is not {expected}"  # small integers: exact


def test_unequal_leading_dimensions_are_refused_by_name(tmp_path: Path) -> None:
    path = product(tmp_path, (1, 3, 4), (5, 4, 2))
    with pytest.raises(UnsupportedError, match="needs equal leading dimensions"):
        Session(path, threads=1)
