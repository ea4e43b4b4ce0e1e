"""Logical types: storage, range and short name of each, and no other."""

import numpy as np
import pytest

from refquant_conformance.types import FLOATS, INTEGERS, SMALL_FLOATS, code_range, short, storage


def test_every_type_has_a_storage_that_holds_it_and_a_name_of_its_own() -> None:
    names = (*INTEGERS, *FLOATS, *SMALL_FLOATS)
    assert len({short(name) for name in names}) == len(names), "two types share a short name"
    for name in INTEGERS:
        low, high = code_range(name)
        held = np.iinfo(storage(name).name)
        assert held.min <= low < high <= held.max, f"{name} does not fit {storage(name)}"
        bits = int(name.lstrip("uint"))
        assert high - low == 2**bits - 1, f"{name} has not {bits} bits"
        assert (low < 0) == name.startswith("int"), f"{name} starts at {low}"
    for name in FLOATS:
        assert storage(name) == np.dtype(name), f"{name} is {storage(name)}"
    for name in SMALL_FLOATS:
        assert storage(name) == (np.uint16 if name == "bfloat16" else np.uint8), f"{name}"


def test_no_other_name_is_a_type() -> None:
    for name in ("uint9", "float", "", "Float32", "int"):
        with pytest.raises(ValueError, match="unknown type"):
            storage(name)
    with pytest.raises(ValueError, match="no range of codes"):
        code_range("float32")
