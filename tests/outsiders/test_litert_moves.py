"""LiteRT 2.3.0 on x86: parts, repeats and transposed convolutions of codes, and their execution.

Movement gives the same codes by every tool; the runtime is asked, too.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.execute import run
from refquant.model.importers.tflite import tflite_graph
from refquant.model.importers.tflite_kernels import TOOLS
from refquant.model.rq import write_rq
from tests.outsiders.litert import interpreter
from tests.refquant.model.importers.tflite_bytes import Model

refquant_runtime = pytest.importorskip(
    "refquant_runtime", reason="executes what the reference says; see `make outsiders`"
)

pytestmark = pytest.mark.torch

Rng = np.random.Generator
Codes = NDArray[np.int8]
Made = tuple[bytes, Codes]
Q: dict[str, Any] = {"scale": 0.25, "zero_point": 5}


def whole(m: Model, *values: int) -> int:
    return m.tensor((len(values),), "int32", values=values)


def codes(rng: Rng, *shape: int) -> Codes:
    return rng.integers(-128, 128, (2, *shape)).astype(np.int8)


def move(
    op: str, shape: tuple[int, ...], outs: list[tuple[int, ...]], *numbers: tuple[int, ...],
    first: bool = False, scalar: bool = False, **options: Any,
) -> Any:  # fmt: skip
    """One operator on an image: constants after the input, or ``first``; a ``scalar`` constant."""

    def make(rng: Rng) -> Made:
        m = Model()
        x = m.tensor((1, *shape), name="x", **Q)
        held = [
            m.tensor((), "int32", values=v) if scalar and len(v) == 1 else whole(m, *v)
            for v in numbers
        ]
        y = [m.tensor(out, **Q) for out in outs]
        m.op(op, [*held, x] if first else [x, *held], y, **options)
        return m.data([x], y), codes(rng, *shape)

    return make


def packed(rng: Rng) -> Made:
    m = Model()
    x = m.tensor((1, 4, 6), name="x", **Q)
    z = m.tensor((1, 4, 6), **Q)
    y = m.tensor((1, 4, 2, 6), **Q)
    m.op("TRANSPOSE", [x, whole(m, 0, 1, 2)], [z])
    m.op("PACK", [x, z], [y], ValuesCount=2, Axis=2)
    return m.data([x], [y]), codes(rng, 4, 6)


def mirrored(rng: Rng, mode: int) -> Made:
    m = Model()
    x, y = m.tensor((1, 5, 6, 4), name="x", **Q), m.tensor((1, 8, 6, 7), **Q)
    rows = m.tensor((4, 2), "int32", values=[0, 0, 2, 1, 0, 0, 3, 0])
    m.op("MIRROR_PAD", [x, rows], [y], Mode=mode)
    return m.data([x], [y]), codes(rng, 5, 6, 4)


def transposed(rng: Rng) -> Made:
    """TRANSPOSE_CONV with random geometry, per channel or per tensor."""
    m = Model()
    c, o = int(rng.choice([1, 3, 8])), int(rng.choice([1, 5, 16]))
    h, w, kh, kw = (int(v) for v in (*rng.integers(2, 7, 2), *rng.integers(1, 5, 2)))
    sh, sw = (int(rng.integers(1, k + 1)) for k in (kh, kw))  # XNNPACK wants no larger ones
    same = bool(rng.integers(0, 2))
    out = [d * t if same else (d - 1) * t + k for d, t, k in ((h, sh, kh), (w, sw, kw))]
    sx = np.float32(10 ** rng.uniform(-3, 0))
    scale = (10.0 ** rng.uniform(-3, -1, o)).astype(np.float32)
    none = np.zeros(o)
    x = m.tensor((1, h, w, c), scale=sx, zero_point=int(rng.integers(-128, 128)), name="x")
    v = m.tensor((o, kh, kw, c), values=rng.integers(-127, 128, (o, kh, kw, c)), scale=scale,
                 zero_point=none)  # fmt: skip
    b = m.tensor((o,), "int32", values=rng.integers(-5000, 5000, o), scale=sx * scale,
                 zero_point=none)  # fmt: skip
    step = np.float32(sx * scale.mean() * kh * kw * c * rng.uniform(3, 60))
    y = m.tensor((1, *out, o), scale=step, zero_point=int(rng.integers(-128, 128)))
    m.op("TRANSPOSE_CONV", [whole(m, 1, *out, o), v, x, b], [y], Padding=int(not same),
         StrideW=sw, StrideH=sh)  # fmt: skip
    return m.data([x], [y]), codes(rng, h, w, c)


CASES: dict[str, Any] = {
    "SLICE": move("SLICE", (5, 6, 4), [(1, 2, 6, 3)], (0, 1, 0, 1), (1, 2, -1, 3)),
    "STRIDED_SLICE": move(
        "STRIDED_SLICE", (5, 6, 4), [(1, 3, 2, 4)], (0, 0, 4, 0), (1, 5, 0, 4), (1, 2, -2, 1)
    ),
    "STRIDED_SLICE, masks": move(
        "STRIDED_SLICE", (5, 6, 4), [(1, 4, 6)], (0, 1, 0, 2), (0, 0, 0, 3), (1, 1, 1, 1),
        BeginMask=5, EndMask=7, ShrinkAxisMask=8,
    ),
    "SPLIT": move(
        "SPLIT", (5, 6, 4), [(1, 5, 6, 2)] * 2, (3,), first=True, scalar=True, NumSplits=2
    ),
    "SPLIT_V": move(
        "SPLIT_V", (5, 6, 4), [(1, 5, 1, 4), (1, 5, 5, 4)], (1, -1), (2,), scalar=True, NumSplits=2
    ),
    "UNPACK": move("UNPACK", (3, 6), [(1, 6)] * 3, Num=3, Axis=1),
    "PACK": packed,
    "GATHER": move("GATHER", (5, 6, 4), [(1, 5, 3, 4)], (5, 0, 5), Axis=2),
    "MIRROR_PAD, reflect": lambda rng: mirrored(rng, 0),
    "MIRROR_PAD, symmetric": lambda rng: mirrored(rng, 1),
    "RESIZE_NEAREST_NEIGHBOR": move(
        "RESIZE_NEAREST_NEIGHBOR", (5, 6, 4), [(1, 10, 9, 4)], (10, 9)
    ),
    "RESIZE_NEAREST_NEIGHBOR, aligned": move(
        "RESIZE_NEAREST_NEIGHBOR", (5, 6, 4), [(1, 13, 3, 4)], (13, 3), AlignCorners=True
    ),
    "RESIZE_NEAREST_NEIGHBOR, half": move(
        "RESIZE_NEAREST_NEIGHBOR", (5, 6, 4), [(1, 7, 11, 4)], (7, 11), HalfPixelCenters=True
    ),
    "SPACE_TO_DEPTH": move("SPACE_TO_DEPTH", (4, 6, 3), [(1, 2, 3, 12)], BlockSize=2),
    "DEPTH_TO_SPACE": move("DEPTH_TO_SPACE", (2, 3, 12), [(1, 4, 6, 3)], BlockSize=2),
    "TRANSPOSE_CONV": transposed,
}  # fmt: skip


def padding_that_repeats_twice(m: Model) -> int:
    return m.tensor((4, 2), "int32", values=[0, 0, 2, 1, 0, 0, 3, 0])


def litert_s(data: bytes, tool: str, x: Codes) -> list[Codes]:
    it = interpreter(data, tool)
    given = it.get_input_details()[0]["index"]
    found: list[list[Codes]] = []
    for sample in x:
        it.set_tensor(given, sample[np.newaxis])
        it.invoke()
        found.append([it.get_tensor(d["index"]).copy() for d in it.get_output_details()])
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("case", CASES)
def test_every_code_is_litert_s_and_the_runtime_s(case: str, tool: str, tmp_path: Path) -> None:
    for seed in range(40 if case == "TRANSPOSE_CONV" else 1):
        data, x = CASES[case](np.random.default_rng(seed))
        theirs = litert_s(data, tool, x)
        graph = tflite_graph(data, path=case, contract=tool)
        ours = list(run(graph, {"x": x}).values())
        for a, b in zip(ours, theirs, strict=True):
            assert np.array_equal(a, b), f"{case}, seed {seed}, by {tool}: LiteRT's codes"
        if seed < 5:
            write_rq(tmp_path / "m.rq", graph)
            executed = refquant_runtime.Session(tmp_path / "m.rq").run({"x": x})
            for a, c in zip(ours, executed.values(), strict=True):
                assert np.array_equal(a, c), f"{case}, seed {seed}, by {tool}: the runtime's codes"
