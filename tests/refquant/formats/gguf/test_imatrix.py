"""Importance in a `.gguf` file: what is written, what is read, what is refused."""

from pathlib import Path
from typing import Any

import gguf as outsider
import numpy as np
import pytest

from refquant.formats.gguf.errors import GgufError
from refquant.formats.gguf.imatrix import (
    Imatrix,
    ImatrixEntry,
    imatrix_of,
    read_imatrix,
    write_imatrix,
)
from refquant.formats.gguf.read import parse_gguf
from refquant.formats.gguf.tensor import GgufTensor, plain_tensor
from refquant.formats.gguf.write import gguf_bytes

META: dict[str, Any] = {
    "general.type": "imatrix",
    "imatrix.datasets": ("a.txt", "b.txt"),
    "imatrix.chunk_count": np.uint32(3),
    "imatrix.chunk_size": np.uint32(512),
}


def f32(*rows: Any) -> Any:
    return np.array(rows, np.float32)


DENSE = ImatrixEntry(f32([8, 2, 0]), f32(2))
EXPERTS = ImatrixEntry(f32([1, 2], [3, 4], [5, 6]), f32(1, 0, 2), -f32([1, 2], [3, 4], [5, 6]))
IMATRIX = Imatrix({"z.weight": DENSE, "a.weight": EXPERTS}, ("a.txt", "b.txt"), 3, 512)


def test_importance_is_the_mean_and_one_where_no_token_came() -> None:
    assert DENSE.importance().tolist() == [[4, 1, 0]], f"{DENSE.importance()}"
    assert EXPERTS.importance().tolist() == [[1, 2], [1, 1], [2.5, 3]], f"{EXPERTS.importance()}"
    assert DENSE.importance().dtype == np.float32, f"{DENSE.importance().dtype}"


def test_the_quotient_is_rounded_once_in_float32() -> None:
    entry = ImatrixEntry(f32([1, 1e-45, 3e38]), f32(3))
    expected = [np.float32(v) / np.float32(3) for v in entry.sums[0]]
    assert entry.importance().tobytes() == f32(expected).tobytes(), f"{entry.importance()}"
    huge = ImatrixEntry(f32([3e38]), f32(1e-30)).importance()
    assert np.isinf(huge).all(), f"beyond float32 is infinite, without a warning: {huge}"


def test_importance_takes_the_shape_of_the_weight() -> None:
    flat = ImatrixEntry(f32([1, 2, 3, 4, 5, 6]), f32(1))
    assert flat.importance((3, 7, 2)).tolist() == [[1, 2], [3, 4], [5, 6]], "three matrices"
    assert flat.importance((7, 6)).tolist() == [[1, 2, 3, 4, 5, 6]], "one matrix"
    assert flat.importance((3, 1, 9, 2)).shape == (3, 2), "four axes"
    assert EXPERTS.importance((3, 9, 2)).tolist() == EXPERTS.importance().tolist(), "as it is"
    for shape in ((7, 5), (2, 7, 2), (6, 6, 6)):
        with pytest.raises(ValueError, match="6 numbers, a weight of shape"):
            flat.importance(shape)


@pytest.mark.parametrize(
    ("sums", "counts", "activations"),
    [
        (f32(1, 2), f32(1), None),
        (f32([1, 2]), f32(1, 2), None),
        (f32([1, 2]), f32([1]), None),
        (f32([1, 2]), f32(1), f32([1])),
        (f32([1, 2]).astype(np.float64), f32(1), None),
        (np.zeros((0, 4), np.float32), np.zeros(0, np.float32), None),
        (f32([1, np.nan]), f32(1), None),
        (f32([1, np.inf]), f32(1), None),
        (f32([1, -1]), f32(1), None),
        (f32([1, 1]), f32(-1), None),
        (f32([1, 1]), f32(np.nan), None),
        (f32([1, 1]), f32(1), f32([0, np.nan])),
    ],
)
def test_what_is_no_sum_of_squares_is_refused(sums: Any, counts: Any, activations: Any) -> None:
    with pytest.raises(GgufError) as caught:
        ImatrixEntry(sums, counts, activations)
    assert caught.value.code == "bad_imatrix", f"{caught.value}"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_imatrix(tmp_path / "i.gguf", IMATRIX)
    back = read_imatrix(tmp_path / "i.gguf")
    assert (back.datasets, back.chunk_count, back.chunk_size) == (("a.txt", "b.txt"), 3, 512), (
        f"{back}"
    )
    assert list(back.entries) == ["a.weight", "z.weight"], "by name"
    for name, entry in IMATRIX.entries.items():
        again = back.entries[name]
        assert again.sums.tolist() == entry.sums.tolist(), f"{name}: {again.sums}"
        assert again.counts.tolist() == entry.counts.tolist(), f"{name}: {again.counts}"
        sums = [None if a is None else a.tolist() for a in (again.activations, entry.activations)]
        assert sums[0] == sums[1], f"{name}: {sums}"


def test_gguf_reads_what_is_written(tmp_path: Path) -> None:
    write_imatrix(tmp_path / "i.gguf", IMATRIX)
    reader = outsider.GGUFReader(tmp_path / "i.gguf")
    shapes = {t.name: t.shape.tolist() for t in reader.tensors}
    assert shapes == {  # the file's order of axes, as ggml writes them: no 1 at the end
        "a.weight.in_sum2": [2, 3],
        "a.weight.counts": [1, 3],
        "a.weight.in_sum": [2, 3],
        "z.weight.in_sum2": [3],
        "z.weight.counts": [1],
    }, f"{shapes}"
    assert reader.fields["general.type"].contents() == "imatrix", "the type"
    assert reader.fields["imatrix.chunk_count"].contents() == 3, "the chunks"


def with_tensors(*tensors: GgufTensor, **keys: Any) -> bytes:
    metadata = {**META, **keys}
    return gguf_bytes({k: v for k, v in metadata.items() if v is not None}, tensors)


SUMS, COUNTS = plain_tensor("w.in_sum2", f32(1, 2, 3, 4)), plain_tensor("w.counts", f32(2))


def test_a_file_of_an_older_writer_has_no_type() -> None:
    data = with_tensors(SUMS, COUNTS, plain_tensor("w.other", f32(1)), **{"general.type": None})
    entries = imatrix_of(parse_gguf(data, name="f")).entries
    assert entries["w"].importance().tolist() == [[0.5, 1, 1.5, 2]], f"{entries}"


@pytest.mark.parametrize(
    ("data", "phrase"),
    [
        (with_tensors(SUMS), "only in_sum2"),
        (with_tensors(COUNTS), "only counts"),
        (with_tensors(), "no tensor is a sum"),
        (with_tensors(SUMS, plain_tensor("w.counts", f32(1, 1, 1))), "do not fit"),
        (with_tensors(SUMS, COUNTS, plain_tensor("w.in_sum", f32(1))), "do not fit"),
        (with_tensors(SUMS, plain_tensor("w.counts", f32(-1))), "below zero"),
        (with_tensors(plain_tensor("w.in_sum2", f32(np.nan)), COUNTS), "NaN"),
        (with_tensors(SUMS, plain_tensor("w.counts", np.ones(1))), "F64, not F32"),
        (with_tensors(SUMS, COUNTS, **{"general.type": "model"}), "metadata"),
        (with_tensors(SUMS, COUNTS, **{"imatrix.datasets": None}), "metadata"),
        (with_tensors(SUMS, COUNTS, **{"imatrix.chunk_count": "3"}), "metadata"),
        (with_tensors(SUMS, COUNTS, **{"imatrix.chunk_size": None}), "metadata"),
    ],
)
def test_files_without_importance_are_refused(data: bytes, phrase: str, tmp_path: Path) -> None:
    (tmp_path / "i.gguf").write_bytes(data)
    with pytest.raises(GgufError, match=phrase) as caught:
        read_imatrix(tmp_path / "i.gguf")
    assert caught.value.code == "bad_imatrix", caught.value.code
    assert str(caught.value).startswith(str(tmp_path)), f"the path comes first: {caught.value}"


def test_a_big_endian_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "i.gguf"
    writer = outsider.GGUFWriter(path, "x", endianess=outsider.GGUFEndian.BIG)
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["a.txt"])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", 512)
    writer.add_tensor("w.in_sum2", f32(2, 4))
    writer.add_tensor("w.counts", f32(2))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert read_imatrix(path).entries["w"].importance().tolist() == [[1, 2]], "swapped"


def test_nothing_to_write_and_nothing_to_read_are_errors(tmp_path: Path) -> None:
    with pytest.raises(GgufError, match="no weight"):
        write_imatrix(tmp_path / "i.gguf", Imatrix({}))
    assert not list(tmp_path.iterdir()), "something was written"
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(GgufError, match="cannot read"):
            read_imatrix(path)
