"""The container: every length and digest is checked, and every fault is one error that says where.

The corpus is that of model-file fuzzers: lengths at every edge, overlaps, holes, polyglots, bombs.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant_runtime import FormatError
from refquant_runtime.fileformat import Container, read_container
from refquant_runtime.graph import SUBBYTE
from tests.runtime.zoo import ZOO, file_of, parts, signed, whole

Header = dict[str, Any]


def read(folder: Path, data: bytes) -> Container:
    file = folder / "m.rq"
    file.write_bytes(data)
    return read_container(file)


def refusal(folder: Path, data: bytes) -> FormatError:
    with pytest.raises(FormatError) as caught:
        read(folder, data)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'm.rq'}: "), "the message names the file"
    assert message.count("; ") >= 1, f"the message ends with a remedy: {message}"
    assert "\n" not in message, "one sentence"
    return caught.value


@pytest.mark.parametrize("name", ZOO)
def test_a_written_file_is_read_as_it_was_written(name: str, tmp_path: Path) -> None:
    container, graph = read(tmp_path, file_of(name)), ZOO[name]()
    assert container.tensors.keys() == graph.constants.keys(), "every tensor, no other"
    for key, array in container.tensors.items():
        assert not array.flags.writeable, f"{key} is a view of the file"
        if graph.values[key].dtype not in SUBBYTE:
            assert array.tobytes() == graph.constants[key].tobytes(), f"{key} differs"
    assert container.nbytes == len(file_of(name)), "the size is the file's"
    assert container.graph["name"] == name.replace("codes_tflite", "codes_tflite_reference"), "name"


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "m.rq"
    file.write_bytes(file_of("weight_only"))
    for length in reversed(range(file.stat().st_size)):
        os.truncate(file, length)
        with pytest.raises(FormatError) as caught:
            read_container(file)
        assert str(caught.value).startswith(f"{file}: "), f"{length} bytes: {caught.value}"


def test_every_flipped_bit_of_a_tensor_is_refused_and_the_tensor_named(tmp_path: Path) -> None:
    data = file_of("weight_only")
    for position in range(len(data) - len(parts(data)[1]), len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        error = refusal(tmp_path, bytes(damaged))
        assert "SHA-256" in error.problem, f"byte {position}: {error}"
        assert error.where.startswith("tensor '"), f"byte {position}: {error}"


@pytest.mark.parametrize("extra", [b"\0", b"{}", b"\0" * 64, b"PK\3\4"])
def test_trailing_bytes_are_refused(extra: bytes, tmp_path: Path) -> None:
    assert "trailing" in refusal(tmp_path, file_of("dynamic") + extra).remedy, "no polyglots"


@pytest.mark.parametrize("length", [0, 1, 2, 10**8 + 1, 2**31, 2**63, 2**64 - 1, 10**7, 55, 57])
def test_a_header_length_that_is_not_the_headers_is_refused(length: int, tmp_path: Path) -> None:
    data = file_of("dynamic")
    assert refusal(tmp_path, length.to_bytes(8, "little") + data[8:]).where == "header", "where"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"[]", "does not start with '{'"),
        (b"GGUF", "does not start with '{'"),
        (b" {}", "does not start with '{'"),
        (b"{", "not padded with spaces"),
        (b"{}\n", "not padded with spaces"),
        (b'{"a":1,"a":2}', "duplicate key 'a'"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":1e999}', "beyond float64"),
        (b'{"a":' + b"9" * 10_000 + b"}", "more than 64 bits"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper than 32"),
        (b'{"a":"\\ud800"}', "surrogates"),
        (b'{"\xff":1}', "decode"),
        (b"{}", "is missing or not a map of strings"),
        (b'{"__metadata__":{"format":1}}', "is missing or not a map of strings"),
        (b'{"__metadata__":{"format":"refquant/3"}}', "'refquant/3' is none of ['refquant/1'"),
        (b'{"__metadata__":{"format":"refquant/1"}}', "missing keys ['graph', 'sha256']"),
    ],
)
def test_a_header_that_is_none_is_refused(text: bytes, rule: str, tmp_path: Path) -> None:
    assert rule in str(refusal(tmp_path, whole(text, b""))), f"{text[:40]!r}"


def set_to(key: str, value: object) -> Callable[[Header], None]:
    def edit(header: Header) -> None:
        header["w"][key] = value

    return edit


def move_all(distance: int) -> Callable[[Header], None]:
    def edit(header: Header) -> None:
        for name, entry in header.items():
            if name != "__metadata__":
                entry["data_offsets"] = [at + distance for at in entry["data_offsets"]]

    return edit


def rename(header: Header) -> None:
    header["{"] = header.pop("w")


def overlap(header: Header) -> None:
    header["zz"] = dict(header["w"])


def swap(header: Header) -> None:  # the same bytes, written in another order
    scale, zero = header["scale"], header["zero"]
    scale["data_offsets"], zero["data_offsets"] = zero["data_offsets"], scale["data_offsets"]


EDITS: dict[str, tuple[Callable[[Header], None], str]] = {
    "dtype unknown": (set_to("dtype", "BF16"), "dtype 'BF16' is none of"),
    "dtype no name": (set_to("dtype", ["U8"]), "is none of"),
    "dtype wider": (set_to("dtype", "I16"), "cannot hold"),
    "entry of three": (set_to("extra", 1), "exactly dtype, shape and data_offsets"),
    "entry no object": (lambda header: header.update(w=7), "exactly dtype, shape and data_offsets"),
    "rank 7": (set_to("shape", [1, 1, 1, 1, 1, 1, 5]), "at most 6 sizes"),
    "size negative": (set_to("shape", [-5]), "at most 6 sizes"),
    "size no integer": (set_to("shape", [5.0]), "at most 6 sizes"),
    "size true": (set_to("shape", [True, 5]), "at most 6 sizes"),
    "product overflows to 0": (set_to("shape", [2**32, 2**32]), "cannot hold"),
    "product overflows": (set_to("shape", [2**63 - 1, 5]), "cannot hold"),
    "shape too small": (set_to("shape", [4]), "cannot hold 4 bytes"),
    "no array": (set_to("shape", [0, 2**62, 2**62]), "cannot hold 0 bytes"),
    "offsets three": (set_to("data_offsets", [48, 53, 53]), "not [begin, end]"),
    "offsets backwards": (set_to("data_offsets", [53, 48]), "not [begin, end]"),
    "end past the file": (set_to("data_offsets", [48, 54]), "cannot hold"),
    "end 2**63 - 1": (set_to("data_offsets", [48, 2**63 - 1]), "cannot hold"),
    "overlap": (overlap, "overlaps"),
    "hole": (move_all(8), "hole"),
    "out of order": (swap, "out of order"),
    "renamed": (rename, "does not name the file's tensors"),
    "missing": (lambda header: header.pop("w"), "does not name the file's tensors"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_tensor_that_does_not_fit_its_bytes_is_refused(name: str, tmp_path: Path) -> None:
    edit, rule = EDITS[name]
    header, body = parts(file_of("weight_only"))
    assert header["w"]["data_offsets"] == [48, 53], "the edits count on it"
    edit(header)
    error = refusal(tmp_path, whole(header, body))
    problems = (rule, "end at byte 48 of 53") if name == "missing" else (rule,)
    assert any(problem in str(error) for problem in problems), f"{name}: {error}"


def test_an_empty_tensor_that_no_array_can_be_is_refused(tmp_path: Path) -> None:
    header, body = parts(file_of("weight_only"))
    header["zz"] = {"dtype": "U8", "shape": [0, 2**62, 2**62], "data_offsets": [53, 53]}
    assert "tensor 'zz'" in str(refusal(tmp_path, signed(header, body))), "typed, not NumPy's"


def test_what_is_no_readable_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.rq").touch()
    os.mkfifo(tmp_path / "pipe.rq")
    (tmp_path / "held.rq").write_bytes(file_of("dynamic"))
    cases = {
        tmp_path: "is a directory",
        tmp_path / "none.rq": "no such file",
        tmp_path / "empty.rq": "only 0 bytes",
        tmp_path / "pipe.rq": "is not a regular file",  # and it does not block
        tmp_path / "held.rq" / "m.rq": "no such file",
        Path("a\0b"): "no such file",
    }
    for path, problem in cases.items():
        with pytest.raises(FormatError) as caught:
            read_container(path)
        assert problem in str(caught.value), f"{path}: {caught.value}"

    def locked(*_: Any, **__: Any) -> None:  # a mode does not stop the superuser
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", locked)
    with pytest.raises(FormatError, match=r"Permission denied.*; check the path"):
        read_container(tmp_path / "held.rq")


def test_reading_costs_what_the_file_weighs(tmp_path: Path) -> None:
    """A million small lies: found in time linear in their number."""
    entry = b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    text = b"{" + b",".join(entry % i for i in range(30_000)) + b',"0":0}'
    assert "duplicate key '0'" in str(refusal(tmp_path, whole(text, b""))), "the last of many keys"
    assert read(tmp_path, file_of("float_cnn")).tensors["w1"].dtype == np.float32, "still reads"
