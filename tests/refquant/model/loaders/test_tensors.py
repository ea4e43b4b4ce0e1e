"""A tensor is taken by name and shape, or the error names it."""

import numpy as np
import pytest

from refquant.model.loaders.tensors import ModelFileError, Tensors

FILE = Tensors(
    "m.bin",
    {
        "half": np.array([[1, 2]], np.float16),
        "ids": np.zeros((1, 2), np.int32),
        "bad": np.array([[1, np.nan]], np.float32),
        "a.0": np.zeros(1, np.float32),
        "a.2": np.zeros(1, np.float32),
    },
)


def test_float16_widens_exactly_and_a_copy_is_given() -> None:
    got = FILE.take("half", (1, 2))
    assert (got.dtype.name, got.tolist()) == ("float32", [[1.0, 2.0]]), "the same numbers"
    got[:] = 0
    assert FILE.take("half", (1, 2)).tolist() == [[1.0, 2.0]], "the file's are not changed"


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("none", (1, 2), "m.bin: lacks the tensor 'none'"),
        ("half", (2, 1), r"'half' must be float32 or float16 \[2, 1\], got float16 \[1, 2\]"),
        ("ids", (1, 2), r"'ids' must be float32 or float16 \[1, 2\], got int32"),
        ("bad", (1, 2), "'bad' has NaN or infinity"),
    ],
)
def test_what_does_not_fit_is_named(name: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        FILE.take(name, shape)


def test_counting_stops_at_the_first_gap_and_shapes_have_a_rank() -> None:
    assert FILE.count("a.{}") == 1, "0 is there, 1 is not"
    assert FILE.shape("half", 2) == (1, 2), "its sizes"
    for name in ("half", "none"):
        with pytest.raises(ModelFileError, match=f"needs a tensor '{name}' of 1 axes"):
            FILE.shape(name, 1)
