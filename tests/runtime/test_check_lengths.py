"""Where `T` may not stand, and what a session says of sequences that do not fit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant_runtime import FormatError, InputError, Session
from tests.runtime.zoo import edited, feeds_of, file_of


def with_input(op: str, attributes: dict[str, Any], shape: list[Any], given: list[Any]) -> bytes:
    """A file of one more node, `extra`, on one more input."""

    def edit(tree: dict[str, Any]) -> None:
        tree["values"]["more"] = {"dtype": "float32", "shape": given}
        tree["values"]["extra"] = {"dtype": "float32", "shape": shape}
        tree["inputs"].append("more")
        tree["nodes"].append(
            {"name": "extra", "op": op, "inputs": ["more"], "outputs": ["extra"],
             "attributes": attributes}
        )  # fmt: skip

    return edited("sentence", edit)


@pytest.mark.parametrize(
    ("op", "attributes", "given", "shape"),
    [
        ("MaxPool", {"kernel_shape": [1]}, ["N", 2, "T"], ["N", 2, "T"]),
        ("GlobalMaxPool", {}, ["N", 2, "T"], ["N", 2, 1]),
        ("Flatten", {}, ["N", "T"], ["N", "T"]),
        ("Concat", {"axis": 1}, ["N", "T"], ["N", "T"]),
        ("Slice", {"axes": [1], "starts": [0], "ends": [2**62]}, ["N", "T"], ["N", "T"]),
        ("TopK", {"k": 1, "axis": 1}, ["N", "T"], ["N", 1]),
    ],
)
def test_what_needs_a_number_is_refused(
    op: str, attributes: dict[str, Any], given: list[Any], shape: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "m.rq").write_bytes(with_input(op, attributes, shape, given))
    with pytest.raises(
        FormatError, match=rf"'extra' \({op}\).*('T' is a number|has 2 outputs|is declared)"
    ):
        Session(tmp_path / "m.rq", threads=1)


def test_sums_along_t_are_fine(tmp_path: Path) -> None:
    data = with_input("ReduceSum", {"axes": [1], "keepdims": 0}, ["N"], ["N", "T"])
    (tmp_path / "m.rq").write_bytes(data)
    Session(tmp_path / "m.rq", threads=1).close()


@pytest.fixture
def session(tmp_path: Path) -> Session:
    (tmp_path / "m.rq").write_bytes(file_of("sentence"))
    return Session(tmp_path / "m.rq", threads=1)


def test_lengths_that_differ_are_named(session: Session) -> None:
    feeds = feeds_of("sentence", 1)
    feeds["places"] = feeds["places"][:, :1]
    with pytest.raises(InputError, match=r"3 in input 'ids', 1 in input 'places'; pass one length"):
        session.run(feeds)


def test_no_step_at_all_is_refused(session: Session) -> None:
    with pytest.raises(InputError, match="at least one step"):
        session.run({name: a[:, :0] for name, a in feeds_of("sentence", 1).items()})


def test_an_index_that_names_no_row_is_refused_and_forgotten(session: Session) -> None:
    feeds = feeds_of("sentence", 1)
    expected = session.run(feeds)
    wrong = feeds | {"ids": feeds["ids"] + 5}
    with pytest.raises(InputError, match=r"\(Gather\): indices are in \[-5, 4\]; pass numbers"):
        session.run(wrong)
    far = feeds | {"places": feeds["places"] - 1}
    with pytest.raises(InputError, match=r"\(RotaryEmbedding\): positions are in \[0, 2\]"):
        session.run(far)
    assert session.run(feeds)["y"].tobytes() == expected["y"].tobytes(), "the next run is as before"


def test_plans_are_kept_for_a_few_lengths(session: Session) -> None:
    ones = {name: a[:, :1] for name, a in feeds_of("sentence", 1).items()}
    first = session.run(ones)
    for steps in (2, 3, 4, 5, 2):
        session.run({name: np.repeat(a, steps, axis=1) for name, a in ones.items()})
        assert session.length == steps, "of the last run"
        assert len(session._plans) <= 4, "the oldest one goes"
    assert session.run(ones)["y"].tobytes() == first["y"].tobytes(), "made again"
    session.resize(3)
    assert session.inputs["ids"].shape == (1, 3), "bound buffers of that length"
    for wrong in (0, -1, 1.5):
        with pytest.raises(InputError, match="length must be an integer from 1"):
            session.resize(wrong)  # type: ignore[arg-type]
