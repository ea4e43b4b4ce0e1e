"""LiteRT 2.3.0 on x86: comparisons, connectives, SELECT, CAST, and ARG_MAX to int64.

All pairs of codes of random parameters; every kind of number. The runtime is asked, too.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
Made = tuple[bytes, dict[str, NDArray[Any]]]
ALL = np.arange(-128, 128).astype(np.int8)
EDGES = np.array(
    [0, -0.0, 0.5, 1, -1, 1.5, -1.9, 126.9, 127, 127.5, 128, -128, -128.9, -129, 255, 256, 32767.9,
     32768, -32769, 1e5, 2147483520, 2147483648, -2147483648, -2147483904, 1e20, -1e20, np.inf,
     -np.inf, np.nan, 1e-40], np.float32,
)  # fmt: skip


def codes(rng: Rng, m: Model, shape: tuple[int, ...], name: str, low: float = -4) -> int:
    s, z = np.float32(10.0 ** rng.uniform(low, -0.01)), int(rng.integers(-128, 128))
    return m.tensor(shape, scale=s, zero_point=z, name=name)


def compared(op: str, kind: str = "int8") -> Callable[[Rng], Made]:
    def make(rng: Rng) -> Made:
        m = Model()
        if kind == "int8":
            a, b = (codes(rng, m, (1, *shape), n) for n, shape in (("a", (256, 1)), ("b", (256,))))
            feeds = {"a": ALL.reshape(1, 256, 1), "b": ALL[None]}
        elif kind == "int16":
            s = np.float32(10.0 ** rng.uniform(-5, -1))
            a, b = (m.tensor((1, 900), "int16", scale=s, name=n) for n in "ab")
            feeds = {n: rng.integers(-32768, 32768, (1, 900)).astype(np.int16) for n in "ab"}
            feeds["b"] = (feeds["a"] // 7 * 7 + rng.integers(-2, 3)).astype(np.int16)
        else:
            a, b = (m.tensor((1, 30, 1) if n == "a" else (1, 30), kind, name=n) for n in "ab")
            each: dict[str, NDArray[Any]]
            each = {"float32": EDGES, "int32": (np.arange(30) - 15) ** 5,
                    "bool": np.arange(30) % 2}  # fmt: skip
            held = each[kind].astype(kind)
            feeds = {"a": held.reshape(1, 30, 1), "b": held[None]}
        out = {"int8": (1, 256, 256), "int16": (1, 900)}.get(kind, (1, 30, 30))
        y = m.tensor(out, "bool", name="y")
        m.op(op, [a, b], [y])
        return m.data([a, b], [y]), feeds

    return make


def by_a_number(rng: Rng) -> Made:
    m = Model()
    x = codes(rng, m, (1, 256), "x")
    k = m.tensor((1,), values=[int(rng.integers(-128, 128))],
                 scale=np.float32(10.0 ** rng.uniform(-4, -0.1)))  # fmt: skip
    y = m.tensor((1, 256), "bool", name="y")
    m.op("GREATER", [x, k], [y])
    return m.data([x], [y]), {"x": ALL[None]}


def connected(op: str) -> Callable[[Rng], Made]:
    def make(rng: Rng) -> Made:
        m = Model()
        ends = [m.tensor((1, 4), "bool", name=n) for n in "ab"[: 1 + (op != "LOGICAL_NOT")]]
        y = m.tensor((1, 4), "bool", name="y")
        m.op(op, ends, [y])
        feeds = {"a": np.array([[0, 0, 1, 1]], bool), "b": np.array([[0, 1, 0, 1]], bool)}
        return m.data(ends, [y]), dict(list(feeds.items())[: len(ends)])

    return make


def selected(op: str, kind: str, *, constant: bool = False) -> Callable[[Rng], Made]:
    def make(rng: Rng) -> Made:
        m, wide = Model(), op == "SELECT_V2"
        truths = (1, 1, 30) if wide else (1, 7, 30)
        c = m.tensor(truths, "bool", name="c")
        feeds = {"c": rng.integers(0, 2, truths).astype(bool)}
        own = {"scale": np.float32(10.0 ** rng.uniform(-3, 0)), "zero_point": 0}
        if kind == "int8":
            own["zero_point"] = int(rng.integers(-128, 128))
        given: dict[str, Any] = own if kind.startswith("int") and kind != "int32" else {}
        x = m.tensor((1, 7, 30), kind, name="x", **given)
        other = dict(given)
        if kind == "int8":  # LiteRT copies codes, whatever they meant
            other = {"scale": np.float32(0.25), "zero_point": 9}
        values = (EDGES if kind == "float32" else np.arange(-15, 15) * 8).astype(kind)
        shape = (30,) if wide else (1, 7, 30)
        held = np.broadcast_to(values, shape)
        if constant:
            z = m.tensor(shape, kind, values=held, **other)
        else:
            z = m.tensor((1, *shape) if wide else shape, kind, name="z", **other)
            feeds["z"] = held[None] if wide else np.array(held)
        feeds["x"] = np.tile(values[::-1], (1, 7, 1)).astype(kind)
        y = m.tensor((1, 7, 30), kind, name="y", **given)
        m.op(op, [c, x, z], [y])
        return m.data([c, x] if constant else [c, x, z], [y]), feeds

    return make


def casted(before: str, after: str) -> Callable[[Rng], Made]:
    def make(rng: Rng) -> Made:
        m = Model()
        each: dict[str, NDArray[Any]] = {
            "float32": EDGES, "int8": ALL, "bool": np.arange(2).astype(bool),
            "int16": np.arange(-32768, 32768).astype(np.int16),
            "int32": np.array([0, 1, -1, 2**24 + 1, -(2**31), 2**31 - 1, 2**30 + 65], np.int32),
        }  # fmt: skip
        values = each[before]
        names, made = {"bool": 6, "float32": 0, "int32": 2, "int8": 9, "int16": 7}, []
        for kind, name in ((before, "x"), (after, "y")):
            own: dict[str, Any] = {}
            if kind in ("int8", "int16"):
                zero = int(rng.integers(-99, 99)) if kind == "int8" else 0
                own = {"scale": np.float32(rng.uniform(0.01, 2)), "zero_point": zero}
            made.append(m.tensor((1, values.size), kind, name=name, **own))
        m.op("CAST", made[:1], made[1:], InDataType=names[before], OutDataType=names[after])
        return m.data(made[:1], made[1:]), {"x": values[None]}

    return make


def largest(op: str) -> Callable[[Rng], Made]:
    def make(rng: Rng) -> Made:
        m = Model()
        x = codes(rng, m, (1, 9, 5), "x")
        axis = m.tensor((1,), "int32", values=[2])
        y = m.tensor((1, 9), "int64", name="y")
        m.op(op, [x, axis], [y], OutputType=4)
        z = m.tensor((1, 9), "float32", name="z")
        m.op("CAST", [y], [z], InDataType=4, OutDataType=0)
        return m.data([x], [z]), {"x": rng.integers(-3, 3, (1, 9, 5)).astype(np.int8)}

    return make


COMPARE = ("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL")
CASES: dict[str, Callable[[Rng], Made]] = {
    **{f"{op} of {kind}": compared(op, kind)
       for op in COMPARE for kind in ("int8", "float32", "int32")},
    **{f"{op} of int16": compared(op, "int16") for op in COMPARE},
    **{f"{op} of bool": compared(op, "bool") for op in COMPARE[4:]},
    "GREATER by a number": by_a_number,
    **{op: connected(op) for op in ("LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT")},
    **{f"{op} of {kind}": selected(op, kind)
       for op in ("SELECT", "SELECT_V2") for kind in ("float32", "int8", "int16", "int32")},
    "SELECT_V2 with a constant": selected("SELECT_V2", "int8", constant=True),
    **{f"CAST {a} to {b}": casted(a, b)
       for a, b in (("float32", "int32"), ("float32", "bool"), ("float32", "int8"),
                    ("float32", "int16"), ("float32", "float32"), ("int8", "float32"),
                    ("int8", "int32"), ("int8", "bool"), ("int8", "int16"), ("int16", "float32"),
                    ("int16", "int32"), ("bool", "float32"), ("bool", "int32"),
                    ("int32", "float32"), ("int32", "bool"))},
    **{f"{op} to int64": largest(op) for op in ("ARG_MAX", "ARG_MIN")},
}  # fmt: skip


def ours(feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What a graph is fed: truths are uint8."""
    return {n: a.astype(np.uint8) if a.dtype == bool else a for n, a in feeds.items()}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("case", CASES)
def test_every_answer_is_litert_s(case: str, tool: str, tmp_path: Path) -> None:
    for seed in range(20 if case.endswith("int8") else 3):
        data, feeds = CASES[case](np.random.default_rng(seed))
        theirs = ask(data, tool, feeds)
        g = tflite_graph(data, path=case, contract=tool)
        (made,) = run(g, ours(feeds)).values()
        same = np.array_equal(
            made.reshape(theirs.shape), theirs, equal_nan=theirs.dtype.kind == "f"
        )
        assert same, f"{case} by {tool}, seed {seed}"
        if seed < 2:
            write_rq(tmp_path / "m.rq", g)
            (executed,) = refquant_runtime.Session(tmp_path / "m.rq").run(ours(feeds)).values()
            assert executed.tobytes() == made.tobytes(), f"{case} by {tool}: the runtime's"
