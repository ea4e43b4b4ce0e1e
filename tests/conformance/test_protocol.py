"""Cases and their layouts: equal numbers, other memory."""

import numpy as np
import pytest

from refquant_conformance.protocol import LAYOUTS, Backend, Case, Unsupported, with_layout
from tests.conformance.bad_backends import Honest, NoBackend


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (2, 3), (2, 0), (2, 3, 4)])
def test_a_layout_changes_memory_and_no_number(layout: str, shape: tuple[int, ...]) -> None:
    array = np.arange(int(np.prod(shape)), dtype=np.int16).reshape(shape)
    laid = with_layout(array, layout)
    assert (laid.shape, laid.dtype) == (shape, array.dtype), f"{layout} of {shape}"
    assert laid.tolist() == array.tolist(), f"{layout} of {shape}"
    assert laid.flags.writeable, "a backend could not be caught writing"
    assert not np.shares_memory(laid, array), "the judge's own array is given away"


def test_layouts_are_what_they_are_called() -> None:
    array = np.arange(6, dtype=np.float32)
    assert with_layout(array, "strided").strides == (8,), "not spread"
    assert with_layout(array, "reversed").strides == (-4,), "not turned"
    shifted = with_layout(array, "offset")
    assert shifted.base is not None, "not a part of something"
    assert shifted.ctypes.data - shifted.base.ctypes.data == 12, "not shifted"


@pytest.mark.parametrize("wrong", [{"layout": "spiral"}, {"environment": "warm"}])
def test_a_case_refuses_what_no_worker_knows(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must be one of"):
        Case("quantize_linear", "f32_u8", {}, **wrong)  # type: ignore[arg-type]  # the fault


@pytest.mark.parametrize("reason", ["", "  ", None])
def test_unsupported_needs_a_reason(reason: str) -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        Unsupported(reason)


def test_three_methods_make_a_backend() -> None:
    assert isinstance(Honest(), Backend), "three methods are not enough"
    assert not isinstance(NoBackend(), Backend), "one method is enough"
