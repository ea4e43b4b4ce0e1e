"""Which steps a mean and a turned tensor become."""

from pathlib import Path

import numpy as np

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant.model.rq import write_rq
from refquant_runtime import Session


def test_a_model_of_another_order_costs_no_copy(tmp_path: Path) -> None:
    """N H W C in, a pool, the mean of the plane: the turn is another word for the same bytes."""
    b = Builder("turned")
    q = Quant(0.5, 3)
    x = b.input("x", ("N", 4, 5, 3), dtype="int8", quant=q)
    t = b.node("Transpose", [x], attributes={"perm": (0, 3, 1, 2)}, name="t")
    p = b.node("MaxPool", [t], attributes={"kernel_shape": (2, 2)}, name="p")
    m = b.node("ReduceMean", [p], attributes={"axes": (2, 3), "keepdims": 0}, name="m",
               contract=preset("xnnpack"), dtype="int8", quant=q)  # fmt: skip
    write_rq(tmp_path / "m.rq", b.graph([m]))
    session = Session(tmp_path / "m.rq")
    try:
        assert [step.op for step in session.plan.steps] == ["MaxPool", "ReduceMean"], "two steps"
        got = session.run({"x": np.full((1, 4, 5, 3), 9, np.int8)})
        assert got["m"].tolist() == [[9, 9, 9]], "the mean of equals"
    finally:
        session.close()
