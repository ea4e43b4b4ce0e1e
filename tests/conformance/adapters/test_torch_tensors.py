"""The tensors of PyTorch: nothing is imported to read them. tests/outsiders asks them."""

import sys

from refquant_conformance.adapters import torch_tensors


def test_reading_it_imports_no_engine() -> None:
    assert not hasattr(torch_tensors, "torch"), "PyTorch is imported by a call, not by the file"
    assert sys.modules[torch_tensors.__name__] is torch_tensors, "a plain module"


def test_codes_are_held_in_bytes_at_least() -> None:
    held = {code: torch_tensors.held_in(code) for code in ("int4", "uint2", "int16")}
    assert held == {"int4": "int8", "uint2": "uint8", "int16": "int16"}, f"{held}"
    assert torch_tensors.RANGES["uint4"] == (0, 15), "the range of a code"
