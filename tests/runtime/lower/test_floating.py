"""Weight-only layers: codes stay packed in the plan, and mean what the file says."""

from pathlib import Path

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant.model.rq import write_rq
from refquant_runtime import Session


def dense(folder: Path, dtype: str, k: int, n: int) -> tuple[Session, np.ndarray]:
    """A MatMul with groups of 32 rows, and its weights as float32."""
    rng = np.random.default_rng(k)
    low, high = {"int8": (-128, 128), "int4": (-8, 8), "int2": (-2, 2), "float32": (0, 0)}[dtype]
    b = Builder("dense")
    x = b.input("x", ("N", k))
    if dtype == "float32":
        w = rng.standard_normal((k, n)).astype(np.float32)
        y = b.node("MatMul", [x, b.constant("w", w)], name="y")
    else:
        codes = rng.integers(low, high, (k, n)).astype(np.int8)
        scale = rng.uniform(0.01, 0.1, (-(-k // 32), n)).astype(np.float32)
        b.constant("s", scale)
        name = b.constant("w", codes, dtype=dtype, quant=Quant("s", 0, (32, 1)))
        y = b.node("MatMul", [x, name], name="y", contract=preset("ort"))
        w = codes.astype(np.float32) * np.repeat(scale, 32, axis=0)[:k]
    path = folder / f"{dtype}.rq"
    write_rq(path, b.graph([y]))
    return Session(path, threads=1), w


@pytest.mark.parametrize("dtype", ["int8", "int4", "int2"])
def test_one_hot_inputs_read_the_dequantized_rows(dtype: str, tmp_path: Path) -> None:
    session, w = dense(tmp_path, dtype, 70, 20)
    actual = session.run({"x": np.eye(70, dtype=np.float32)})["y"]
    assert np.array_equal(actual, w), f"{dtype}: row k of the output is row k of the weights"


def test_fewer_bits_are_fewer_bytes_in_memory(tmp_path: Path) -> None:
    sizes = {d: dense(tmp_path, d, 1024, 64)[0].plan.consts.size for d in ("float32", "int8", "int4", "int2")}  # fmt: skip # noqa: E501
    weights = 1024 * 64
    tables = 2 * 32 * 64 * 4 + 4096 + 4096  # scales, zero points, and the rest
    for dtype, bits in (("int8", 8), ("int4", 4), ("int2", 2)):
        limit = weights * bits // 8 + tables
        assert sizes[dtype] <= limit, f"{dtype} takes {sizes[dtype]} bytes, expected <= {limit}"
    assert sizes["float32"] >= 4 * weights, "floats are not packed"
