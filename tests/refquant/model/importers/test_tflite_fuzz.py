"""Damaged files with the operators that are built from others: a model or one error, never more.

Bytes and numbers of a whole file change, and one operator is given any options, shapes, dtypes,
scales and constants that a file can say.
"""

import math
import struct
import tracemalloc
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from refquant.model.importers.tflite import tflite_graph
from refquant.model.importers.tflite_kernels import TOOLS
from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_bytes import Model

Q: dict[str, Any] = {"scale": 0.25, "zero_point": 5}
OPTIONS: dict[str, dict[str, Any]] = {
    "RESIZE_BILINEAR": {"AlignCorners": bool, "HalfPixelCenters": bool},
    "RESIZE_NEAREST_NEIGHBOR": {"AlignCorners": bool, "HalfPixelCenters": bool},
    **{key: {"KeepDims": bool} for key in ("SUM", "REDUCE_MAX", "REDUCE_MIN", "MEAN")},
    **{key: {"OutputType": int} for key in ("ARG_MAX", "ARG_MIN")},
    "BATCH_MATMUL": {"AdjX": bool, "AdjY": bool},
    "MIRROR_PAD": {"Mode": int},
    **{key: {"BlockSize": int} for key in ("SPACE_TO_DEPTH", "DEPTH_TO_SPACE")},
    "GATHER": {"Axis": int, "BatchDims": int},
    **{key: {} for key in ("MAXIMUM", "MINIMUM", "PRELU", "SQUARED_DIFFERENCE", "PADV2", "PAD")},
    **{key: {} for key in ("LOG", "SQRT", "RSQRT", "NEG", "ABS", "HARD_SWISH")},
    "DIV": {"FusedActivationFunction": int},
}


def several() -> bytes:
    """One file with most of them, one after the other."""
    m = Model()
    x = m.tensor((1, 4, 4, 2), name="x", **Q)

    def then(op: str, source: int, *more: int, shape: Any = (1, 4, 4, 2), **own: Any) -> int:
        made = m.tensor(shape, **Q)
        m.op(op, [source, *more], [made], **own)
        return made

    y = then("PRELU", x, m.tensor((2,), values=[9, -9], scale=0.1))
    y = then("SQUARED_DIFFERENCE", y, x)
    y = then("MAXIMUM", y, x)
    y = then("MINIMUM", y, m.tensor((1,), values=[50], **Q))
    size = m.tensor((2,), "int32", values=[7, 3])
    y = then("RESIZE_BILINEAR", y, size, shape=(1, 7, 3, 2), HalfPixelCenters=True)
    rows = m.tensor((4, 2), "int32", values=[0, 0, 1, 0, 0, 1, 0, 0])
    y = then("PADV2", y, rows, m.tensor((1,), values=[-7], **Q), shape=(1, 8, 4, 2))
    y = then("REDUCE_MIN", y, m.tensor((1,), "int32", values=[1]), shape=(1, 1, 4, 2),
             KeepDims=True)  # fmt: skip
    y = then("BATCH_MATMUL", y, m.tensor((1, 1, 2, 4), values=range(8), scale=0.1),
             shape=(1, 1, 4, 4))  # fmt: skip
    y = then("LOG", y, shape=(1, 1, 4, 4))
    place = m.tensor((1, 1, 4), "int32")
    m.op("ARG_MAX", [y, m.tensor((), "int32", values=3)], [place], OutputType=2)
    return m.data([x], [y, place])


FILE = several()


def outcome(data: bytes, tool: str = "xnnpack") -> str:
    """Return the error's text, or nothing; any other exception is a failure of the test."""
    try:
        tflite_graph(data, path="bad.tflite", contract=tool)
    except ModelFileError as error:
        message = str(error)
        assert message.startswith("bad.tflite: "), f"it names the file: {message!r}"
        assert "\n" not in message, "one sentence"
        return message
    return ""


def test_the_whole_file_is_a_graph() -> None:
    assert outcome(FILE) == "", "nothing is refused before it is damaged"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_changed_numbers_are_a_model_or_one_error(data: st.DataObject) -> None:
    changed = bytearray(FILE)
    for _ in range(data.draw(st.integers(1, 4))):
        if data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(changed) - 1))
            changed[at] = data.draw(st.integers(0, 255))
            continue
        at = 4 * data.draw(st.integers(0, len(changed) // 4 - 1))
        number = data.draw(st.sampled_from([0, 1, 2, 4, 2**31 - 1, 2**31, 2**32 - 1, 1 << 20]))
        changed[at : at + 4] = struct.pack("<I", number)
    tracemalloc.start()
    try:
        outcome(bytes(changed))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 4 * len(changed) + (256 << 20), f"{peak} bytes for a file of {len(changed)}"


SIZES = st.sampled_from([0, 1, 1, 2, 3, 4, 8, 1 << 20])
NUMBERS = st.sampled_from([-(2**31), -7, -4, -2, -1, 0, 1, 2, 3, 4, 5, 100, 1 << 20, 2**31 - 1])
SCALES = st.sampled_from([None, 0.25, 0.25, 1e-38, 2e-38, 1e30, 3e38, 1e-30, 7.0])


@st.composite
def tensors(draw: st.DrawFn) -> dict[str, Any]:
    """Return a tensor of any kind: computed or constant, of codes, reals or numbers."""
    dtype = draw(st.sampled_from(["int8", "int8", "int8", "float32", "int32", "int16", "uint8"]))
    shape = tuple(draw(st.lists(SIZES, max_size=5)))
    scale = None if dtype == "float32" else draw(SCALES)
    own: dict[str, Any] = {"shape": shape, "dtype": dtype, "scale": scale}
    if scale is not None:
        own["zero_point"] = draw(st.sampled_from([0, 5, 5, -128, 127]))
    if math.prod(max(d, 1) for d in shape) <= 64 and draw(st.booleans()):
        count = int(np.prod(shape, dtype=np.int64))
        drawn = np.array([draw(NUMBERS) for _ in range(count)], np.int64)
        own["values"] = drawn.astype("int32" if dtype == "float32" else dtype)
    return own


@st.composite
def single(draw: st.DrawFn) -> bytes:
    """Return a file of one operator that was given anything."""
    m, op = Model(), draw(st.sampled_from(sorted(OPTIONS)))
    image = {"shape": (1, 2, 4, 2), "dtype": "int8", **Q}
    ends = [
        m.tensor(**(image if draw(st.booleans()) else draw(tensors())))
        for _ in range(draw(st.integers(1, 4)))
    ]
    made = m.tensor(**(image if draw(st.booleans()) else draw(tensors())))
    m.tensors[made]["array"] = None
    own = {
        name: draw(st.booleans()) if kind is bool else draw(st.integers(-3, 5)) % 128
        for name, kind in OPTIONS[op].items()
        if draw(st.booleans())
    }
    if draw(st.booleans()):  # a plausible second operand, so that more of it is reached
        ends[1:] = [m.tensor((2,), "int32", values=[draw(NUMBERS), draw(NUMBERS)])]
    inputs = [i for i in ends if m.tensors[i]["array"] is None]
    m.op(op, ends, [made], **own)
    return m.data(inputs, [made])


@settings(max_examples=400, deadline=None)
@given(single(), st.sampled_from(TOOLS))
def test_any_operator_is_a_model_or_one_error(data: bytes, tool: str) -> None:
    tracemalloc.start()
    try:
        outcome(data, tool)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 4 * len(data) + (256 << 20), f"{peak} bytes for a file of {len(data)}"
