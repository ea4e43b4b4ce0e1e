"""A tensor's bytes fit its shape and type, or there is no tensor."""

import math
from typing import Any

import gguf as outsider
import numpy as np
import pytest

from refquant.formats.ggml.types import GGML_TYPES
from refquant.formats.gguf.errors import GgufError
from refquant.formats.gguf.tensor import (
    REMOVED,
    GgufTensor,
    check_name,
    check_rank,
    plain_tensor,
    stored_type,
    tensor_bytes,
)

Q8_0 = GGML_TYPES["Q8_0"]


@pytest.mark.parametrize("name", GGML_TYPES)
def test_bytes_are_rows_of_blocks(name: str) -> None:
    kind = GGML_TYPES[name]
    for shape in ((1,), (3, 2), (2, 1, 5), (2, 3, 4, 1)):
        full = (*shape[:-1], shape[-1] * kind.block_size)
        blocks = math.prod(shape)
        assert tensor_bytes(full, kind, name="t") == blocks * kind.block_bytes, f"{full}"
        tensor = GgufTensor("t", full, kind, np.zeros(blocks * kind.block_bytes, np.uint8))
        assert tensor.elements == blocks * kind.block_size, f"{full}: {tensor.elements}"


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ((), "bad_rank"),
        ((32,) * 5, "bad_rank"),
        ((0,), "bad_dimension"),
        ((2, 0), "bad_dimension"),
        ((-32,), "bad_dimension"),
        ((2**63,), "bad_dimension"),
        ((2**31, 2**32), "too_large"),
        ((2**62, 2, 2, 2), "too_large"),
        ((33,), "ragged_row"),
        ((64, 16), "ragged_row"),
    ],
)
def test_shapes_that_no_file_can_hold(shape: tuple[int, ...], code: str) -> None:
    with pytest.raises(GgufError, match="tensor 't'") as caught:
        tensor_bytes(shape, Q8_0, name="t", offset=9)
    assert (caught.value.code, caught.value.offset) == (code, 9), f"{shape}: {caught.value}"


@pytest.mark.parametrize(
    "data",
    [np.zeros(33, np.uint8), np.zeros(34, np.int8), np.zeros((1, 34), np.uint8)],
    ids=["short", "signed", "2-D"],
)
def test_bytes_that_do_not_fit_are_refused(data: Any) -> None:
    with pytest.raises(GgufError, match=r"Q8_0 of shape \[32\] is 34 bytes, got") as caught:
        GgufTensor("t", (32,), Q8_0, data)
    assert caught.value.code == "bad_data", caught.value.code


@pytest.mark.parametrize("dtype", ["f4", "f2", "f8", "i1", "i2", "i4", "i8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_plain_tensors_are_the_arrays_bytes_little_endian(dtype: str, order: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(f"{order}{dtype}")
    for view in (array, array[:, ::-1]):
        tensor = plain_tensor("t", view)
        assert tensor.shape == (2, 3), f"{tensor.shape}"
        assert tensor.data.tobytes() == view.astype(f"<{dtype}").tobytes(), f"{order}{dtype}"
        assert tensor.type.name == {"f": "F", "i": "I"}[dtype[0]] + str(8 * int(dtype[1])), dtype


@pytest.mark.parametrize("array", [np.zeros(2, np.uint8), np.zeros(2, bool), np.array(["a"])],
                         ids=["uint8", "bool", "text"])  # fmt: skip
def test_other_arrays_are_no_plain_tensors(array: Any) -> None:
    with pytest.raises(GgufError, match="dtype is one of float32") as caught:
        plain_tensor("t", array)
    assert caught.value.code == "bad_type", caught.value.code


def test_a_scalar_and_an_empty_array_are_refused() -> None:
    with pytest.raises(GgufError, match="0 axes"):
        plain_tensor("t", np.array(1.0, np.float32))
    with pytest.raises(GgufError, match="leave empty tensors out"):
        plain_tensor("t", np.zeros((0, 3), np.float32))


def test_numbers_are_the_types_of_gguf_or_removed() -> None:
    known = {each.value for each in outsider.GGMLQuantizationType}
    # Below the newest id, every number that is no type was one once.
    gaps = set(range(max(known))) - known
    assert gaps == set(REMOVED), f"{gaps ^ set(REMOVED)}"
    for number in range(64):
        if number in REMOVED:
            assert number not in known, f"gguf has {number}"
            with pytest.raises(GgufError, match=f"{REMOVED[number]}.*removed") as caught:
                stored_type(number, name="t", offset=1)
            assert caught.value.code == "removed_type", caught.value.code
        elif number in {kind.id for kind in GGML_TYPES.values()}:
            assert stored_type(number, name="t").id == number, f"{number}"
        else:
            assert number not in known, f"gguf has {number}, we do not"
            with pytest.raises(GgufError, match="unknown ggml type"):
                stored_type(number, name="t")


def test_names_and_ranks_at_their_edges() -> None:
    check_name("t" * 64)
    for name in ("", "t" * 65, "ü" * 33, "a\0b"):
        with pytest.raises(GgufError, match="1 to 64 bytes"):
            check_name(name)
    for rank in (0, 5, 2**32 - 1):
        with pytest.raises(GgufError, match="1 to 4"):
            check_rank(rank, name="t")
