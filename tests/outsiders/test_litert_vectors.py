"""LiteRT 2.3.0 on x86: L2_NORMALIZATION and LOG_SOFTMAX of int8, code for code."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.execute import run
from refquant.model.importers.tflite import tflite_graph
from refquant.model.importers.tflite_kernels import TOOLS
from refquant.model.rq import write_rq
from tests.outsiders.litert import ask
from tests.refquant.model.importers.tflite_bytes import Model

refquant_runtime = pytest.importorskip(
    "refquant_runtime", reason="executes what the reference says; see `make outsiders`"
)

pytestmark = pytest.mark.torch

Rng = np.random.Generator
ENDS = {"L2_NORMALIZATION": (2.0**-7, 0), "LOG_SOFTMAX": (2.0**-4, 127)}


def vectors(rng: Rng, n: int) -> NDArray[np.int8]:
    """Uniform codes, extremes, neighbours, one that is alone."""
    x = rng.integers(-128, 128, (12, n)).astype(np.int8)
    x[0], x[1], x[2] = -128, 127, rng.choice([-128, 127], n)
    x[3:6] = rng.integers(-2, 3, (3, n))
    x[6], x[6, 0] = 0, 3
    x[7] = np.resize([3, -4, 0, 12], n)
    return x


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("op", ENDS)
def test_every_code_is_litert_s(op: str, tool: str, tmp_path: Path) -> None:
    if (op, tool) == ("LOG_SOFTMAX", "tflite_reference"):
        return  # refused by name: tests/refquant/model/importers/test_tflite_vectors.py
    differ = total = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        n = int(rng.choice([1, 2, 3, 7, 10, 64, 1000]))
        m, zero = Model(), int(rng.choice([0, -128, 127, int(rng.integers(-128, 128))]))
        x = m.tensor((1, 12, n), scale=np.float32(10.0 ** rng.uniform(-3, 0.5)), zero_point=zero,
                     name="x")  # fmt: skip
        y = m.tensor((1, 12, n), scale=ENDS[op][0], zero_point=ENDS[op][1])
        m.op(op, [x], [y])
        data, codes = m.data([x], [y]), vectors(rng, n)[None]
        theirs = ask(data, tool, {"x": codes})
        g = tflite_graph(data, path=op, contract=tool)
        (ours,) = run(g, {"x": codes}).values()
        differ, total = differ + int(np.count_nonzero(ours != theirs)), total + ours.size
        if seed < 5:
            write_rq(tmp_path / "m.rq", g)
            (executed,) = refquant_runtime.Session(tmp_path / "m.rq").run({"x": codes}).values()
            assert np.array_equal(executed, ours), f"{op} by {tool}: the runtime is not ours"
    assert differ == 0, f"{op} by {tool}: {differ} of {total}"
