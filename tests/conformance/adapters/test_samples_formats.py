"""Samples of bytes: each is computed by the reference, where it has a yardstick."""

import pytest

from refquant_conformance.adapters.reference import Reference
from refquant_conformance.adapters.samples_formats import of_format
from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.operators import OPERATORS

OPS = ("pack", "unpack", "block_quantize", "block_dequantize")
CELLS = [(op, scheme) for op in OPS for scheme in OPERATORS[op].schemes]


@pytest.mark.parametrize(("op", "scheme"), CELLS)
def test_samples_are_computed(op: str, scheme: str) -> None:
    if arithmetic_of(op, scheme) is None:
        assert op == "block_quantize", f"{op} {scheme} has no yardstick"
        return
    y = Reference("onnx").run(of_format(op, scheme)).outputs["y"]
    assert y.size, f"{op} {scheme} gives nothing"


def test_the_sample_of_a_file_is_the_seed() -> None:
    assert of_format("load", "gguf").inputs["x"][:4].tobytes() == b"GGUF", "the magic"
