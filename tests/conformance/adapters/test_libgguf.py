"""libgguf 0.2 as a backend: ggml's C loops, compiled without contraction."""

import pytest

pytest.importorskip("libgguf", reason="libgguf has wheels for Linux on x86-64 only")

from refquant_conformance.adapters.libgguf import LibGguf
from refquant_conformance.adapters.samples import sample
from refquant_conformance.identify import identify
from refquant_conformance.protocol import Unsupported
from refquant_conformance.subject import Local

THEIRS = LibGguf()
SUBJECT = Local(THEIRS, "libgguf")


def test_the_cells_are_what_was_counted() -> None:
    seen = [cell.op for cell in THEIRS.capabilities()]
    counted = {op: seen.count(op) for op in seen}
    assert counted == {"block_quantize": 16, "block_dequantize": 16}, "cells came or went"


@pytest.mark.parametrize("scheme", ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0"])
def test_encoders_are_the_reference_loops(scheme: str) -> None:
    found = identify(SUBJECT, "block_quantize", scheme)
    assert len(found.consistent) == 1, f"{scheme}: {found}"
    assert set(found.consistent[0].values()) <= {"separate", "reference"}, f"{scheme}: {found}"


@pytest.mark.parametrize("scheme", ["q4_0", "mxfp4", "q4_k", "q6_k", "nvfp4"])
def test_decoders_are_identified(scheme: str) -> None:
    found = identify(SUBJECT, "block_dequantize", scheme)
    assert len(found.consistent) == 1, f"{scheme}: {found}"


def test_what_it_has_not_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="no cast"):
        THEIRS.run(sample("cast", "f32_e5m2"))
