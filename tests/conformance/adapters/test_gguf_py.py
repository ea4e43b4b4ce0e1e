"""gguf-py 0.19 as a backend: its blocks are ggml's, and it reads files."""

import numpy as np
import pytest

from refquant_conformance.adapters.gguf_py import GgufPy
from refquant_conformance.adapters.samples import sample
from refquant_conformance.adapters.samples_files import seed_file
from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.arithmetic.blocks import block_case
from refquant_conformance.identify import identify
from refquant_conformance.protocol import Rejected, Unsupported
from refquant_conformance.subject import Local

THEIRS = GgufPy()
SUBJECT = Local(THEIRS, "gguf")


def test_the_cells_are_what_was_counted() -> None:
    seen = [cell.op for cell in THEIRS.capabilities()]
    counted = {op: seen.count(op) for op in seen}
    assert counted == {"block_quantize": 8, "block_dequantize": 16}, "cells came or went"


@pytest.mark.parametrize("scheme", ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0"])
def test_encoders_are_the_reference_loops(scheme: str) -> None:
    found = identify(SUBJECT, "block_quantize", scheme)
    assert len(found.consistent) == 1, f"{scheme}: {found}"
    assert set(found.consistent[0].values()) <= {"separate", "reference"}, f"{scheme}: {found}"


def test_of_two_zeros_numpy_takes_the_other_one_for_the_minimum() -> None:
    """0 ... -0 ...: C keeps the first, +0; NumPy's minimum here is -0. So the bytes differ."""
    x = np.ones(32, np.float32)
    x[[0, 8, 25]] = 0.0, 0.0, -0.0
    case = block_case("block_quantize", "q4_1", x)
    arithmetic = arithmetic_of("block_quantize", "q4_1")
    assert arithmetic is not None, "no yardstick"
    ours = arithmetic.compute(case, {"contraction": "separate"})
    assert ours is not None, "refused"
    theirs = THEIRS.run(case).outputs["y"]
    assert (ours["y"][3], theirs[3]) == (0, 0x80), f"gguf has come round: {theirs[:4]}"


@pytest.mark.parametrize("scheme", ["q4_0", "mxfp4", "q4_k", "nvfp4", "tq1_0"])
def test_decoders_are_identified(scheme: str) -> None:
    found = identify(SUBJECT, "block_dequantize", scheme)
    assert len(found.consistent) == 1, f"{scheme}: {found}"
    assert set(found.consistent[0].values()) <= {"halves"}, f"{scheme}: {found}"


def test_a_file_is_loaded_or_refused() -> None:
    THEIRS.load_bytes("gguf", seed_file("gguf"))
    with pytest.raises(Rejected):
        THEIRS.load_bytes("gguf", b"GGUF")
    with pytest.raises(Unsupported, match="not onnx"):
        THEIRS.load_bytes("onnx", b"")
    with pytest.raises(Unsupported, match="no cast"):
        THEIRS.run(sample("cast", "f32_e5m2"))
