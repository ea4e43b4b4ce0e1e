"""Damaged files: one kind of error, no hang, bounded memory."""

import builtins
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refquant.model.importers.tflite import import_tflite, tflite_graph
from refquant.model.importers.tflite_read import read_tflite
from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_bytes import Model


def small() -> bytes:
    """A quantizer, a convolution, a pool, a reshape, a layer, a softmax."""
    rng = np.random.default_rng(0)
    m = Model()
    x = m.tensor((1, 6, 6, 2), "float32", name="x")
    q = m.tensor((1, 6, 6, 2), scale=0.1, zero_point=3)
    m.op("QUANTIZE", [x], [q])
    w = m.tensor((4, 3, 3, 2), values=rng.integers(-99, 99, (4, 3, 3, 2)), scale=[0.02] * 4,
                 zero_point=[0] * 4)  # fmt: skip
    b = m.tensor((4,), "int32", values=rng.integers(-99, 99, 4), scale=[0.002] * 4,
                 zero_point=[0] * 4)  # fmt: skip
    y = m.tensor((1, 6, 6, 4), scale=0.3, zero_point=-5)
    m.op("CONV_2D", [q, w, b], [y], Padding=0, StrideW=1, StrideH=1, DilationWFactor=1,
         DilationHFactor=1, FusedActivationFunction=1)  # fmt: skip
    p = m.tensor((1, 3, 3, 4), scale=0.3, zero_point=-5)
    m.op("AVERAGE_POOL_2D", [y], [p], Padding=1, StrideW=2, StrideH=2, FilterWidth=2,
         FilterHeight=2)  # fmt: skip
    shape = m.tensor((2,), "int32", values=[-1, 36])
    r = m.tensor((1, 36), scale=0.3, zero_point=-5)
    m.op("RESHAPE", [p, shape], [r])
    v = m.tensor((3, 36), values=rng.integers(-99, 99, (3, 36)), scale=0.02)
    z = m.tensor((1, 3), scale=0.5, zero_point=0)
    m.op("FULLY_CONNECTED", [r, v, -1], [z])
    s = m.tensor((1, 3), scale=1 / 256, zero_point=-128, name="y")
    m.op("SOFTMAX", [z], [s], Beta=1.0)
    return m.data([x], [s])


SMALL = small()


def refused(data: bytes) -> str:
    """Read ``data``: return the error's text, or nothing; any other exception is a failure."""
    try:
        tflite_graph(data, path="bad.tflite")
    except ModelFileError as error:
        return str(error)
    return ""


def test_the_whole_file_is_read() -> None:
    model = read_tflite(SMALL, path="small.tflite")
    assert [o.op for o in model.operators][:2] == ["QUANTIZE", "CONV_2D"], "in order"
    assert model.tensors[model.inputs[0]].name == "x", "by name"
    assert model.operators[1].options["FusedActivationFunction"] == 1, "options"
    assert refused(SMALL) == "", "and is a graph"


def test_every_truncation_is_one_error() -> None:
    for size in range(0, len(SMALL) - 8, 7):  # the last bytes are of a string that ends in zeros
        message = refused(SMALL[:size])
        assert message.startswith("bad.tflite: "), f"{size} bytes: {message!r}"
        assert message.count("\n") == 0, "one sentence"


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_changed_bytes_are_a_model_or_one_error(data: st.DataObject) -> None:
    changed = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at] = data.draw(st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255))
    refused(bytes(changed))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_changed_numbers_are_a_model_or_one_error(data: st.DataObject) -> None:
    changed = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 3))):
        at = 4 * data.draw(st.integers(0, len(changed) // 4 - 1))
        number = data.draw(
            st.sampled_from([0, 1, 2, 4, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 4])
            | st.integers(0, 2**32 - 1)
        )
        changed[at : at + 4] = struct.pack("<I", number)
    tracemalloc.start()
    try:
        refused(bytes(changed))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 4 * len(changed) + (256 << 20), f"{peak} bytes for a file of {len(changed)}"


def test_tensors_that_share_a_vector_are_counted() -> None:
    """Five hundred tensors, one name of 100,000 bytes: the file is small, what it says is not."""
    m = Model()
    m.tensor((1, 4), scale=0.5, name="n" * 100_000)
    for i in range(1, 500):
        m.tensor((1, 4), scale=0.5, name=f"t{i}")
    m.op("ADD", [0, 1], [2])
    data = bytearray(m.data([0, 1], [2]))
    place = data.index(b"n" * 100_000) - 4
    for i in range(3, 500):
        name = f"t{i}".encode()
        at = data.index(struct.pack("<I", len(name)) + name + b"\0")
        for position in range(0, len(data) - 4, 4):
            offset = struct.unpack_from("<I", data, position)[0]
            if position + offset == at and offset < 2**31:
                data[position : position + 4] = struct.pack("<I", (place - position) % 2**32)
    assert "says more than it has bytes" in refused(bytes(data)), "counted"


def test_a_buffer_that_many_share_is_not_copied_for_each() -> None:
    m = Model()
    x = m.tensor((1, 512), scale=0.5)
    w = m.tensor((512, 512), values=np.ones((512, 512)), scale=0.01)
    previous = x
    for _ in range(12):
        y = m.tensor((1, 512), scale=0.5)
        m.op("FULLY_CONNECTED", [previous, w, -1], [y])
        previous = y
    assert "4 times the file" in refused(m.data([x], [previous])), "12 copies of one weight"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no TFLite file"),
        (b"\x1c\0\0\0TFL2" + b"\0" * 40, "is no TFLite file"),
        (b"\x08\0\0\0TFL3", "leads nowhere"),
        (Model([], []).data([], []), "no output"),
    ],
)
def test_what_is_no_model(data: bytes, message: str) -> None:
    assert message in refused(data), f"{data[:8]!r}"


def broken(change: str) -> bytes:
    m = Model()
    x, y, z = (m.tensor((1, 4), scale=0.5, name=n) for n in "xyz")
    w = m.tensor((1, 4), values=[1, 2, 3, 4], scale=0.5, name="w")
    inputs, outputs = [x], [z]
    first, second = ([x, w], [y]), ([y, w], [z])
    if change == "order":
        first, second = second, first
    if change == "twice":
        second = ([x, w], [y])
    if change == "constant input":
        inputs = [x, w]
    if change == "no such tensor":
        first = ([x, 77], [y])
    if change == "size":
        m.tensors[w]["shape"] = (1, 5)
    if change == "scales":
        m.tensors[w]["zero_point"] = np.zeros(3, np.int64)
    if change == "negative":
        m.tensors[y]["shape"] = (1, -4)
    m.op("ADD", *first)
    m.op("ADD", *second)
    return m.data(inputs, outputs, version=2 if change == "version" else 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("order", "before it is computed"),
        ("twice", "that is there already"),
        ("constant input", "an input is a constant"),
        ("no such tensor", "names a tensor that is not there"),
        ("size", r"its constant 4 bytes"),
        ("scales", "1 scales and 3 zero points"),
        ("negative", "has the shape"),
        ("version", "its schema has version 2"),
    ],
)
def test_what_contradicts_itself(change: str, message: str) -> None:
    assert message in refused(broken(change)), change


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == "tflite":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert "needs the extra refquant[tflite]; install it" in refused(SMALL), "what to install"


def test_a_path_that_is_none(tmp_path: Path) -> None:
    for path in (tmp_path / "none.tflite", tmp_path, "a\0b"):
        with pytest.raises(ModelFileError, match="cannot read"):
            import_tflite(path)


def test_a_layer_takes_no_more_than_four_times_its_file() -> None:
    """Proofs compute in int64, eight times as wide as the weights: some channels at a time."""
    m = Model()
    x = m.tensor((1, 3000), scale=0.5)
    w = m.tensor((4000, 3000), values=np.ones((4000, 3000), np.int8), scale=0.01)
    y = m.tensor((1, 4000), scale=50.0)
    m.op("FULLY_CONNECTED", [x, w, -1], [y])
    data = m.data([x], [y])
    tracemalloc.start()
    try:
        tflite_graph(data, path="large.tflite")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 4 * len(data), (
        f"{peak} bytes for a file of {len(data)}, without the spare 256 MB"
    )
