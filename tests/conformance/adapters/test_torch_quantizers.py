"""The quantizers of PyTorch: nothing is imported to read them. tests/outsiders asks them."""

import sys

from refquant_conformance.adapters import torch_quantizers


def test_reading_it_imports_no_engine() -> None:
    assert not hasattr(torch_quantizers, "torch"), "PyTorch is imported by a call, not by the file"
    assert sys.modules[torch_quantizers.__name__] is torch_quantizers, "a plain module"
