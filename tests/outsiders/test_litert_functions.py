"""LiteRT 2.3.0 on x86: operators that we build from others, and resized images, code for code.

Functions of one tensor are asked for all 256 codes. What LiteRT itself gets wrong is in ``ODD``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.execute import run
from refquant.model.importers.tflite import tflite_graph
from refquant.model.importers.tflite_kernels import TOOLS
from refquant.model.loaders.tensors import ModelFileError
from refquant.model.rq import write_rq
from tests.outsiders.litert import ask
from tests.refquant.model.importers.tflite_bytes import Model

refquant_runtime = pytest.importorskip(
    "refquant_runtime", reason="executes what the reference says; see `make outsiders`"
)

pytestmark = pytest.mark.torch

Rng = np.random.Generator
Codes = NDArray[np.int8]
Made = tuple[bytes, dict[str, NDArray[Any]]]
EVERY = np.arange(-128, 128).astype(np.int8)[None]


def codes(rng: Rng, *shape: int) -> Codes:
    return rng.integers(-128, 128, shape).astype(np.int8)


def scale(rng: Rng) -> np.float32:
    return np.float32(10 ** rng.uniform(-3, 0))


def zero(rng: Rng) -> int:
    return int(rng.integers(-128, 128))


def unary(rng: Rng, op: str, *, lowest: bool = False) -> Made:
    """All codes; with ``lowest`` those that mean 0 or more, for LiteRT refuses the others."""
    m, z = Model(), int(rng.integers(-128, 0)) if lowest else zero(rng)
    x = m.tensor((1, 256), scale=scale(rng), zero_point=z, name="x")
    y = m.tensor((1, 256), scale=scale(rng), zero_point=zero(rng))
    m.op(op, [x], [y])
    return m.data([x], [y]), {"x": np.maximum(EVERY, z) if lowest else EVERY}


def binary(
    rng: Rng, op: str, *, b: tuple[int, ...] | None = None, same: bool = False
) -> Made:  # fmt: skip
    """Two images, or an image and a constant of shape ``b``."""
    m = Model()
    z, s = [zero(rng) for _ in range(3)], [scale(rng) for _ in range(3)]
    if op == "SQUARED_DIFFERENCE":
        s[2] = np.float32(max(s[:2]) ** 2 * rng.uniform(1e-3, 500))
    if same:
        z, s = [z[0]] * 3, [s[0]] * 3
    shape = (1, 8, 16, 3)
    held = None if b is None else codes(rng, *b)
    first = m.tensor(shape, scale=s[0], zero_point=z[0], name="a")
    other = m.tensor(b or shape, values=held, scale=s[1], zero_point=z[1], name="b")
    y = m.tensor(shape, scale=s[2], zero_point=z[2])
    m.op(op, [first, other], [y])
    feeds = {"a": codes(rng, 3, *shape[1:])} | ({} if b else {"b": codes(rng, 3, *shape[1:])})
    return m.data([first, other] if b is None else [first], [y]), feeds


def reduced(rng: Rng, op: str) -> Made:
    m, shape = Model(), (1, 4, 5, 8)
    axes = [(1, 2), (3,), (1, 3), (2,)][int(rng.integers(0, 2 if op == "SUM" else 4))]
    keep = bool(rng.integers(0, 2))
    z, s = (zero(rng), zero(rng)), scale(rng)
    after = np.float32(s * 8) if op == "SUM" else s  # a ratio that some mean has, too
    x = m.tensor(shape, scale=s, zero_point=z[0], name="x")
    out = [1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes]
    y = m.tensor(out, scale=after, zero_point=z[op == "SUM"])
    m.op(op, [x, m.tensor((len(axes),), "int32", values=axes)], [y], KeepDims=keep)
    return m.data([x], [y]), {"x": codes(rng, 4, *shape[1:])}


def place(rng: Rng, op: str) -> Made:
    m = Model()
    x = m.tensor((1, 4, 5, 8), scale=0.25, zero_point=zero(rng), name="x")
    y = m.tensor((1, 4, 5), "int32")
    m.op(op, [x, m.tensor((), "int32", values=3)], [y], OutputType=2)
    return m.data([x], [y]), {"x": rng.integers(-3, 4, (4, 4, 5, 8)).astype(np.int8)}


def product(rng: Rng, *, zero_point: bool = False, constant: bool = False) -> Made:
    m, k = Model(), 12
    turned = [bool(v) for v in rng.integers(0, 2, 2)]
    a, b = (1, 3, k, 6) if turned[0] else (1, 3, 6, k), (1, 3, 5, k) if turned[1] else (1, 3, k, 5)
    s, t = scale(rng), scale(rng)
    x = m.tensor(a, scale=s, zero_point=zero(rng), name="a")
    w = m.tensor(b, scale=t, zero_point=zero(rng) if zero_point else 0, name="b",
                 values=rng.integers(-127, 128, b) if constant else None)  # fmt: skip
    step = np.float32(s * t * rng.uniform(50, 500))
    y = m.tensor((1, 3, 6, 5), scale=step, zero_point=zero(rng))
    m.op("BATCH_MATMUL", [x, w], [y], AdjX=turned[0], AdjY=turned[1])
    feeds = {"a": codes(rng, 4, *a[1:])} | ({} if constant else {"b": codes(rng, 4, *b[1:])})
    return m.data([x] if constant else [x, w], [y]), feeds


def padded(rng: Rng) -> Made:
    m, q = Model(), {"scale": 0.25, "zero_point": 5}
    x = m.tensor((1, 4, 5, 3), name="x", **q)  # type: ignore[arg-type]  # numbers
    rows = m.tensor((4, 2), "int32", values=[0, 0, 1, 2, 0, 1, 0, 0])
    held = m.tensor((1,), values=[int(rng.choice([-128, 5, 127]))], **q)  # type: ignore[arg-type]  # numbers
    y = m.tensor((1, 7, 6, 3), **q)  # type: ignore[arg-type]  # numbers
    m.op("PADV2", [x, rows, held], [y])
    return m.data([x], [y]), {"x": codes(rng, 4, 4, 5, 3)}


def resized(rng: Rng) -> Made:
    m, q = Model(), {"scale": 0.25, "zero_point": zero(rng)}
    h, w, high, wide = (int(v) for v in rng.integers(1, 14, 4))
    c, mode = int(rng.choice([1, 3, 8, 17])), int(rng.integers(0, 3))
    x = m.tensor((1, h, w, c), name="x", **q)  # type: ignore[arg-type]  # numbers
    y = m.tensor((1, high, wide, c), **q)  # type: ignore[arg-type]  # numbers
    size = m.tensor((2,), "int32", values=[high, wide])
    m.op("RESIZE_BILINEAR", [x, size], [y], AlignCorners=mode == 1, HalfPixelCenters=mode == 2)
    return m.data([x], [y]), {"x": codes(rng, 3, h, w, c)}


def dilated(rng: Rng) -> Made:
    """Pixels become samples and come back, as older converters write a dilated convolution."""
    m, q = Model(), {"scale": 0.25, "zero_point": 5}
    x = m.tensor((1, 5, 6, 3), name="x", **q)  # type: ignore[arg-type]  # numbers
    blocks = m.tensor((2,), "int32", values=[2, 3])
    pads = m.tensor((2, 2), "int32", values=[1, 2, 0, 3])
    z = m.tensor((6, 4, 3, 3), **q)  # type: ignore[arg-type]  # numbers
    m.op("SPACE_TO_BATCH_ND", [x, blocks, pads], [z])
    pool = m.tensor((6, 4, 3, 3), **q)  # type: ignore[arg-type]  # numbers
    m.op("MAX_POOL_2D", [z], [pool], Padding=0, StrideW=1, StrideH=1, FilterWidth=2,
         FilterHeight=3)  # fmt: skip
    y = m.tensor((1, 6, 7, 3), **q)  # type: ignore[arg-type]  # numbers
    crops = m.tensor((2, 2), "int32", values=[0, 2, 1, 1])
    m.op("BATCH_TO_SPACE_ND", [pool, blocks, crops], [y])
    return m.data([x], [y]), {"x": codes(rng, 1, 5, 6, 3)}


CASES: dict[str, Any] = {
    "LOG": lambda r: unary(r, "LOG"),
    "SQRT": lambda r: unary(r, "SQRT", lowest=True),
    "RSQRT": lambda r: unary(r, "RSQRT", lowest=True),
    "NEG": lambda r: unary(r, "NEG"),
    "MAXIMUM": lambda r: binary(r, "MAXIMUM", same=True),
    "MAXIMUM, a number": lambda r: binary(r, "MAXIMUM", same=True, b=(1,)),
    "MINIMUM, of channels": lambda r: binary(r, "MINIMUM", same=True, b=(3,)),
    "PRELU, of channels": lambda r: binary(r, "PRELU", b=(1, 1, 3)),
    "PRELU, of elements": lambda r: binary(r, "PRELU", b=(8, 16, 3)),
    "SQUARED_DIFFERENCE": lambda r: binary(r, "SQUARED_DIFFERENCE"),
    "SQUARED_DIFFERENCE, a constant": lambda r: binary(r, "SQUARED_DIFFERENCE", b=(16, 3)),
    "SUM": lambda r: reduced(r, "SUM"),
    "REDUCE_MAX": lambda r: reduced(r, "REDUCE_MAX"),
    "REDUCE_MIN": lambda r: reduced(r, "REDUCE_MIN"),
    "ARG_MAX": lambda r: place(r, "ARG_MAX"),
    "ARG_MIN": lambda r: place(r, "ARG_MIN"),
    "BATCH_MATMUL": lambda r: product(r),
    "BATCH_MATMUL, zero points": lambda r: product(r, zero_point=True),
    "BATCH_MATMUL, a constant": lambda r: product(r, constant=True),
    "PADV2": padded,
    "SPACE_TO_BATCH_ND": dilated,
    "RESIZE_BILINEAR": resized,
}
REFUSED: dict[tuple[str, str], str] = {
    ("SUM", "tflite_reference"): "reads the codes as uint8",
    ("BATCH_MATMUL, zero points", "xnnpack"): "import it for tflite_reference",
}
"""What one tool computes otherwise, and the other one does not."""


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("case", CASES)
def test_every_code_is_litert_s_and_the_runtime_s(case: str, tool: str, tmp_path: Path) -> None:
    for seed in range(120 if case == "RESIZE_BILINEAR" else 40):
        data, feeds = CASES[case](np.random.default_rng(seed))
        if (case, tool) in REFUSED:
            with pytest.raises(ModelFileError, match=REFUSED[case, tool]):
                tflite_graph(data, path=case, contract=tool)
            continue
        theirs = ask(data, tool, feeds)
        graph = tflite_graph(data, path=case, contract=tool)
        (ours,) = run(graph, feeds).values()
        assert np.array_equal(ours, theirs), f"{case}, seed {seed}, by {tool}: LiteRT's codes"
        if seed < 5:
            write_rq(tmp_path / "m.rq", graph)
            (executed,) = refquant_runtime.Session(tmp_path / "m.rq").run(feeds).values()
            assert np.array_equal(ours, executed), f"{case}, seed {seed}, by {tool}: the runtime's"


def test_the_reference_sum_reads_int8_as_uint8() -> None:
    """Refused, because it is a mistake of LiteRT 2.3.0: -30 and -10 are 226 and 246 to it."""
    m = Model()
    x = m.tensor((1, 2, 2), scale=0.5, zero_point=3, name="x")
    y = m.tensor((1, 2), scale=0.5)
    m.op("SUM", [x, m.tensor((1,), "int32", values=[2])], [y], KeepDims=False)
    data, q = m.data([x], [y]), np.array([[[-30, -10], [20, 30]]], np.int8)
    assert ask(data, "xnnpack", {"x": q}).tolist() == [[-46, 44]], "the sum, less two zero points"
    assert ask(data, "tflite_reference", {"x": q}).tolist() == [[-1, 44]], "255, as int8"


@pytest.mark.parametrize("tool", TOOLS)
def test_litert_joins_no_codes_that_mean_different_things(tool: str) -> None:
    m = Model()
    a, b = m.tensor((1, 2), scale=0.5, name="a"), m.tensor((1, 2), scale=0.25, name="b")
    y = m.tensor((1, 4), scale=0.5)
    m.op("CONCATENATION", [a, b], [y], Axis=1)
    data = m.data([a, b], [y])
    with pytest.raises(RuntimeError, match="failed to prepare"):
        ask(data, tool, {"a": EVERY[:, :2], "b": EVERY[:, :2]})
    with pytest.raises(ModelFileError, match="other parameters at its output"):
        tflite_graph(data, path="m", contract=tool)


@pytest.mark.parametrize("op", ["SQRT", "RSQRT"])
def test_litert_ends_where_there_is_no_root(op: str) -> None:
    m = Model()
    x, y = m.tensor((1, 2), scale=0.5, zero_point=3, name="x"), m.tensor((1, 2), scale=0.5)
    m.op(op, [x], [y])
    with pytest.raises(RuntimeError, match="only defined for"):
        ask(m.data([x], [y]), "tflite_reference", {"x": np.array([[2, 4]], np.int8)})
