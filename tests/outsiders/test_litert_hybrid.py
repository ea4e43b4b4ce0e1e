"""LiteRT 2.3.0 on x86: layers of dynamic range, float32 activations and int8 weights, to the bit.

Each case is one layer with random parameters, inputs of many magnitudes, rows of zeros, ties of the
row's own scale, infinities. What differs has an entry in ``DISAGREEMENTS``.
"""

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
F32 = NDArray[np.float32]


def inputs(rng: Rng, *shape: int) -> F32:
    """Normals of many magnitudes, zeros, one spike, ties of both rules, subnormals."""
    x: F32 = (rng.normal(size=(7, *shape)) * 10.0 ** rng.uniform(-3, 3)).astype(np.float32)
    x[1] = 0
    x[2] = 0
    x[2].reshape(-1)[0] = -3.5
    x[3] = rng.integers(-254, 255, shape).astype(np.float32) * np.float32(0.5)  # amax near 127
    x[3].reshape(-1)[-1] = 127
    x[4] = np.abs(x[4])
    x[5] = rng.integers(0, 511, shape).astype(np.float32) * np.float32(0.5)  # width 255
    x[5].reshape(-1)[0] = 255
    x[6] *= np.float32(1e-42)
    return np.asarray(x, np.float32)


def scales(rng: Rng, channels: int, several: bool) -> F32:
    return (10.0 ** rng.uniform(-3, -1, channels if several else 1)).astype(np.float32)


def dense(rng: Rng, *, several: bool, asymmetric: bool = False, rank: int = 2) -> tuple[bytes, F32]:
    m = Model()
    k, o = int(rng.integers(1, 70)), int(rng.integers(1, 30))
    sw, shape = scales(rng, o, several), (1, 3, k) if rank == 3 else (1, k)
    x = m.tensor(shape, "float32", name="x")
    w = m.tensor((o, k), values=rng.integers(-127, 128, (o, k)), scale=sw,
                 zero_point=np.zeros(sw.size))  # fmt: skip
    b = m.tensor((o,), "float32", values=rng.normal(size=o) * 10)
    y = m.tensor((*shape[:-1], o), "float32")
    m.op("FULLY_CONNECTED", [x, w, b], [y], FusedActivationFunction=int(rng.choice([0, 1, 3])),
         AsymmetricQuantizeInputs=asymmetric, KeepNumDims=rank == 3)  # fmt: skip
    return m.data([x], [y]), inputs(rng, *shape[1:])


def conv(rng: Rng, *, depthwise: bool = False, several: bool = True, group: int = 1,
         pixel: bool = False) -> tuple[bytes, F32]:  # fmt: skip
    m = Model()
    c = int(rng.choice([2, 8, 16])) if group == 1 else 4 * group
    h, w = (int(v) for v in rng.integers(5, 12, 2))
    kh, kw = (1, 1) if pixel else (int(v) for v in rng.integers(1, 4, 2))
    stride, same = 1 if pixel else int(rng.integers(1, 3)), bool(rng.integers(0, 2))
    multiplier = int(rng.choice([1, 2, 3]))
    o = c * multiplier if depthwise else group * int(rng.choice([2, 7, 16]))
    sw = scales(rng, o, several)
    x = m.tensor((1, h, w, c), "float32", name="x")
    shape = (1, kh, kw, o) if depthwise else (o, kh, kw, c // group)
    v = m.tensor(shape, values=rng.integers(-127, 128, shape), scale=sw,
                 zero_point=np.zeros(sw.size), axis=3 if depthwise else 0)  # fmt: skip
    b = m.tensor((o,), "float32", values=rng.normal(size=o) * 10)
    out = [-(-d // stride) if same else (d - k) // stride + 1 for d, k in ((h, kh), (w, kw))]
    y = m.tensor((1, *out, o), "float32")
    own = {"DepthMultiplier": multiplier} if depthwise else {}
    m.op(
        "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, v, b], [y], Padding=int(not same),
        StrideW=stride, StrideH=stride, DilationWFactor=1, DilationHFactor=1,
        FusedActivationFunction=int(rng.choice([0, 1, 3])), **own,
    )  # fmt: skip
    return m.data([x], [y]), inputs(rng, h, w, c)


CASES: dict[str, Any] = {
    "FULLY_CONNECTED": lambda r: dense(r, several=False),
    "FULLY_CONNECTED, a scale a row": lambda r: dense(r, several=True),
    "FULLY_CONNECTED, asymmetric": lambda r: dense(r, several=False, asymmetric=True),
    "FULLY_CONNECTED, three axes": lambda r: dense(r, several=True, rank=3),
    "CONV_2D": lambda r: conv(r),
    "CONV_2D, one scale": lambda r: conv(r, several=False),
    "CONV_2D, pixels": lambda r: conv(r, pixel=True),
    "CONV_2D, two groups": lambda r: conv(r, group=2),
    "DEPTHWISE_CONV_2D": lambda r: conv(r, depthwise=True),
}
DISAGREEMENTS: dict[tuple[str, str], int] = {}
ODD: dict[str, tuple[list[float], str, bool, str]] = {
    "a NaN that stands first": ([np.nan, 1, -2], "tflite_reference", False,
        "std::minmax_element keeps it: every output is NaN; the text ignores it"),
    "a NaN that stands last": ([1, -2, np.nan], "xnnpack", False,
        "XNNPACK's minimum keeps it: every output is NaN; the text ignores it"),
    "an infinity, asymmetric": ([np.inf, 1, -2], "tflite_reference", True,
        "the zero point is NaN, cast to int8, which C leaves open; the text takes -128"),
    "just below one half": ([float(np.float32(0.49999997))] * 7 + [127], "tflite_reference", False,
        "a group of eight adds one half and truncates, and the sum is 1; the tail rounds to 0"),
}  # fmt: skip
"""What LiteRT makes of inputs that are no function of the text, and why; one row, one layer."""


def the_runtime(graph: Any, path: Any, feeds: dict[str, F32]) -> NDArray[Any]:
    write_rq(path, graph)
    session = refquant_runtime.Session(path)
    (made,) = session.run(feeds).values()
    return np.asarray(made)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("case", CASES)
def test_every_real_is_litert_s(case: str, tool: str, tmp_path: Any) -> None:
    differ = total = 0
    for seed in range(40):
        data, x = CASES[case](np.random.default_rng(seed))
        theirs = ask(data, tool, {"x": x})
        g = tflite_graph(data, path=case, contract=tool)
        (ours,) = run(g, {"x": x}).values()
        differ += int(np.count_nonzero(ours.reshape(theirs.shape) != theirs))
        total += theirs.size
        if seed < 8:
            executed = the_runtime(g, tmp_path / f"{seed}.rq", {"x": x})
            same = np.array_equal(executed, ours, equal_nan=True)
            assert same, f"{case} by {tool}: the runtime is not the reference"
    assert differ == DISAGREEMENTS.get((case, tool), 0), f"{case} by {tool}: {differ} of {total}"


def odd_layer(x: list[float], asymmetric: bool) -> bytes:
    m, k = Model(), len(x)
    source = m.tensor((1, k), "float32", name="x")
    w = m.tensor((2, k), values=np.arange(2 * k) * 11 - 40, scale=0.5)
    b = m.tensor((2,), "float32", values=[1, 2])
    y = m.tensor((1, 2), "float32")
    m.op("FULLY_CONNECTED", [source, w, b], [y], FusedActivationFunction=0,
         AsymmetricQuantizeInputs=asymmetric)  # fmt: skip
    return m.data([source], [y])


@pytest.mark.parametrize("name", ODD)
def test_what_differs_still_does(name: str) -> None:
    values, tool, asymmetric, why = ODD[name]
    data, x = odd_layer(values, asymmetric), np.array([values], np.float32)
    (ours,) = run(tflite_graph(data, path="odd", contract=tool), {"x": x}).values()
    theirs = ask(data, tool, {"x": x})
    assert not np.array_equal(ours, theirs, equal_nan=True), f"it agrees now; it was: {why}"


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("value", [np.inf, -np.inf, 3e38])
def test_infinities_of_symmetric_rows_agree(value: float, tool: str) -> None:
    x = np.array([[value, 1, -2]], np.float32)
    data = odd_layer([0.0] * 3, asymmetric=False)
    (ours,) = run(tflite_graph(data, path="odd", contract=tool), {"x": x}).values()
    assert np.array_equal(ours, ask(data, tool, {"x": x}), equal_nan=True), "as LiteRT"
