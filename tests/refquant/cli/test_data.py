"""Arrays from archives: what is odd is one sentence, and nothing is allocated for a lie."""

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.cli.data import encode, in_reals, load, read_npz, sample_count, write_npz
from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant

DTYPES = ["f2", "f4", "f8", "i1", "u1", "i4", "u2", ">f4", "?"]


def graph(*, dtype: str = "float32", shape: tuple[int | str, ...] = ("N", 2)) -> Graph:
    b = Builder("g")
    if dtype == "float32":
        return b.graph([b.node("Relu", [b.input("x", shape)], name="y")])
    quant = Quant(0.5, 3)
    x = b.input("x", shape, dtype=dtype, quant=quant)
    y = b.node("Add", [x, x], name="y", dtype=dtype, quant=Quant(1.0, 3), contract=preset("ort"))
    return b.graph([y])


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def archive(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in entries.items():
            zipped.writestr(f"{name}.npy", content)
    return path


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_what_numpy_saves_is_read(dtype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", x=array, y=np.asarray(array, order="F"))
        read = read_npz(tmp_path / "a.npz", ["x", "y"])
        for name, got in read.items():
            assert got.shape == shape, f"{name}: shape {got.shape}"
            assert got.dtype == array.dtype.newbyteorder("="), f"{name}: dtype {got.dtype}"
            assert np.array_equal(got, array), f"{name}: other numbers"


def test_what_is_written_numpy_reads(tmp_path: Path) -> None:
    arrays: dict[str, npt.NDArray[Any]] = {
        "file": np.array([[1, 2]], np.float32),
        "a/b": np.array([3], np.int8),
        "scalar": np.array(4, np.float32),
    }
    write_npz(tmp_path / "a.npz", arrays)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as read:
        assert sorted(read.files) == sorted(arrays), f"{read.files}"
        for name, array in arrays.items():
            assert read[name].dtype == array.dtype, f"{name}: {read[name].dtype}"
            assert read[name].shape == array.shape, f"{name}: {read[name].shape}"
            assert read[name].tobytes() == array.tobytes(), f"{name} differs"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an .npz file"),
        (b"hello", "not an .npz file"),
        (npy(np.zeros(3)), "not an .npz file"),
    ],
)
def test_files_that_are_no_archives(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_npz(tmp_path / "a.npz", ["x"])


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a file; give"):
        read_npz(tmp_path, ["x"])
    with pytest.raises(ValueError, match="no such file; give"):
        read_npz(tmp_path / "b.npz", ["x"])
    with pytest.raises(ValueError, match="no such file; give"):
        read_npz("nul\0byte.npz", ["x"])


def test_arrays_that_are_missing_twice_or_objects(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", images=npy(np.zeros(3)))
    with pytest.raises(ValueError, match=r"a\.npz: has no array 'x', but 'images'; rename"):
        read_npz(path, ["x"])
    with pytest.raises(ValueError, match="has no array 'x', but nothing"):
        read_npz(archive(path), ["x"])
    with zipfile.ZipFile(path, "w") as zipped, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's, of the very thing that is tested
        zipped.writestr("x.npy", npy(np.zeros(3)))
        zipped.writestr("x.npy", npy(np.ones(3)))
    with pytest.raises(ValueError, match="more than one array 'x'; keep one"):
        read_npz(path, ["x"])
    objects = io.BytesIO()
    np.save(objects, np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="'x' holds object, give it plain numbers"):
        read_npz(archive(path, x=objects.getvalue()), ["x"])
    with pytest.raises(ValueError, match="'x' is not an array of plain numbers"):
        read_npz(archive(path, x=b"text"), ["x"])
    with pytest.raises(ValueError, match=r"'x' holds .*, give it plain numbers"):
        read_npz(archive(path, x=npy(np.zeros(2, [("a", "f4")]))), ["x"])


def test_a_shape_that_lies_allocates_nothing(tmp_path: Path) -> None:
    honest = npy(np.zeros(3, np.float32))
    for lie in (b"(9999999999999,)", b"(-1,)", b"(-1, -3)"):
        truth = b"(3,), }" + b" " * (len(lie) - 4)  # the header is padded: its length stays
        forged = honest.replace(truth, lie + b", }")
        assert forged != honest, "the test forges nothing"
        with pytest.raises(ValueError, match="'x' is damaged"):
            read_npz(archive(tmp_path / "a.npz", x=forged), ["x"])


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refquant.cli.data.LIMIT", 10_000)
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(100_000, np.float32), y=np.zeros(3))
    with pytest.raises(ValueError, match="unpacks to 400,128 bytes, more than 10,000; split it"):
        read_npz(tmp_path / "a.npz", ["x"])
    assert read_npz(tmp_path / "a.npz", ["y"])["y"].shape == (3,), "what is not asked for counts"


@given(drawn=st.data())
def test_a_damaged_archive_is_one_error(
    drawn: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    np.savez_compressed(folder / "a.npz", x=np.arange(40, dtype=np.float32), y=np.zeros(3))
    content = bytearray((folder / "a.npz").read_bytes())
    for _ in range(drawn.draw(st.integers(1, 3))):
        content[drawn.draw(st.integers(0, len(content) - 1))] = drawn.draw(st.integers(0, 255))
    del content[drawn.draw(st.integers(0, len(content))) :]
    (folder / "b.npz").write_bytes(content)
    said = ""
    try:
        read_npz(folder / "b.npz", ["x"])
    except ValueError as error:
        said = str(error)
    assert not said or said.startswith(str(folder / "b.npz")), f"does not name the file: {said}"


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.zeros((3, 2), np.float64), r"'x' must be float32, got float64; convert it"),
        (np.zeros((3, 2), np.uint8), r"'x' must be float32, got uint8; convert it"),
        (np.zeros((3, 4), np.float32), r"'x' must have shape \[N, 2\], got \[3, 4\]; reshape"),
        (np.zeros(2, np.float32), r"'x' must have shape \[N, 2\], got \[2\]; reshape"),
        (np.zeros((), np.float32), r"'x' must have shape \[N, 2\], got \[\]; reshape"),
        (np.zeros((0, 2), np.float32), r"no samples; give at least one"),
    ],
)
def test_arrays_that_are_not_the_models(x: np.ndarray, said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=x)
    with pytest.raises(ValueError, match=rf"a\.npz: .*{said}"):
        load(str(tmp_path / "a.npz"), graph())


def test_inputs_of_different_numbers_of_samples(tmp_path: Path) -> None:
    b = Builder("g")
    g = b.graph([b.node("Add", [b.input("a", ("N", 2)), b.input("b", ("N", 2))], name="y")])
    np.savez(tmp_path / "a.npz", a=np.zeros((3, 2), np.float32), b=np.zeros((4, 2), np.float32))
    with pytest.raises(ValueError, match=r"different numbers of samples \[3, 4\]"):
        load(str(tmp_path / "a.npz"), g)


@pytest.mark.parametrize(
    "labels", [np.zeros(2, int), np.zeros((3, 1), int), np.zeros(3), np.zeros(3, bool)]
)
def test_labels_are_one_integer_a_sample(labels: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2), np.float32), labels=labels)
    with pytest.raises(ValueError, match="'labels' must be 3 integers, one a sample, got"):
        load(str(tmp_path / "a.npz"), graph(), labels=True)
    assert load(str(tmp_path / "a.npz"), graph())[1] is None, "labels nobody asked for"


def test_reals_become_the_codes_of_a_quantized_input() -> None:
    g = graph(dtype="uint8")
    codes = encode(g, {"x": np.array([[-1.5, 0.0], [0.75, 500]], np.float32)})
    assert codes["x"].dtype == np.uint8, f"{codes['x'].dtype}"
    assert codes["x"].tolist() == [[0, 3], [5, 255]], "0.75 / 0.5 = 1.5: a tie, to even, plus 3"
    same = encode(g, {"x": np.array([[1, 2]], np.uint8)})
    assert same["x"].tolist() == [[1, 2]], "codes stay codes"
    assert in_reals(g, "y", np.array([3, 4], np.uint8)).tolist() == [0.0, 1.0], (
        "scale 1, zero point 3"
    )
    assert in_reals(graph(), "y", np.array([3, 4], np.float32)).tolist() == [3.0, 4.0], (
        "reals stay reals"
    )


def test_reals_become_codes_where_codes_are_moved_first() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2, 1), dtype="uint8", quant=Quant(0.5, 3))
    g = b.graph([b.node("DequantizeLinear", [b.node("Flatten", [x])], contract=preset("ort"))])
    codes = encode(g, {"x": np.array([[[-1.5], [500]]], np.float32)})["x"]
    assert codes.dtype == np.uint8, f"{codes.dtype}"
    assert codes.tolist() == [[[0], [255]]], f"{codes}"


def test_a_graph_without_a_batch_has_one_sample(tmp_path: Path) -> None:
    g = graph(shape=(3, 2))
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2), np.float32))
    inputs, _ = load(str(tmp_path / "a.npz"), g)
    assert sample_count(g, inputs) == 1, "its first axis is no batch"
