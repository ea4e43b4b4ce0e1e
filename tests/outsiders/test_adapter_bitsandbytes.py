"""bitsandbytes 0.50.2 as a backend: the int32 product of LLM.int8(), and two codebooks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.adapters.samples import sample
from refquant_conformance.protocol import Capability, Unsupported
from tests.outsiders.libraries import wrong

pytest.importorskip("bitsandbytes", reason="the outsider itself; see `make outsiders`")
pytestmark = pytest.mark.torch

BACKEND: Any = load_backend("bitsandbytes")


def test_the_product_is_exact() -> None:
    assert Capability("matmul_integer", "i8_i8") in BACKEND.capabilities(), "its one product"
    assert wrong(BACKEND, [("matmul_integer", "i8_i8", "onnx")]) == [], "int8_linear_matmul"


def test_the_codebooks_are_cut_at_midpoints() -> None:
    cells = [(cell.op, cell.scheme) for cell in BACKEND.capabilities()]
    books = [("codebook_quantize", "nf4"), ("codebook_quantize", "bnb_fp4")]
    assert cells == [("matmul_integer", "i8_i8"), *books], f"{cells}"
    assert wrong(BACKEND, [(*book, "spec, cuts=midpoints") for book in books]) == [], "4 bits"


def test_zero_points_and_other_types_are_not_taken() -> None:
    case = sample("matmul_integer", "i8_i8")
    with pytest.raises(Unsupported, match="no zero points"):
        BACKEND.run(replace(case, inputs={**case.inputs, "b_zero_point": np.array(1, np.int8)}))
    other = sample("matmul_integer", "u8_i8")
    points = {"a_zero_point": np.array(0, np.uint8), "b_zero_point": np.array(0, np.int8)}
    zero = {**other.inputs, **points}
    with pytest.raises(Unsupported, match="takes int8"):
        BACKEND.run(replace(other, inputs=zero))
