"""The kernels of PyTorch: nothing is imported to read them. tests/outsiders asks them."""

import sys

from refquant_conformance.adapters import torch_kernels


def test_reading_it_imports_no_engine() -> None:
    assert not hasattr(torch_kernels, "torch"), "PyTorch is imported by a call, not by the file"
    assert sys.modules[torch_kernels.__name__] is torch_kernels, "a plain module"
