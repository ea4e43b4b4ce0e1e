"""The table of ggml's types, against gguf's own."""

import gguf
import pytest

from refquant.formats.ggml.types import GGML_TYPES, ggml_type

# gguf 0.19 says 40 bytes; the C struct has two f16 and 32 codes: 4 + 32 = 36 (ggml-common.h).
DISAGREEMENTS = {"Q8_1": (36, 40)}
# Newer than gguf 0.19: ids and sizes from ggml.h and ggml-common.h of 2026-08.
TOO_NEW = {"Q2_0"}


def test_ids_and_sizes_are_those_of_gguf() -> None:
    known = {each.name for each in gguf.GGMLQuantizationType}
    assert set(GGML_TYPES) - known <= TOO_NEW, "only the newest types may be missing in gguf"
    assert known <= set(GGML_TYPES), f"gguf knows {known - set(GGML_TYPES)}, we do not"
    for name, ours in GGML_TYPES.items():
        if name not in known:
            continue
        theirs = gguf.GGMLQuantizationType(ours.id)
        size, block_bytes = gguf.GGML_QUANT_SIZES[theirs]
        assert theirs.name == name, f"id {ours.id} is {theirs.name} in gguf, {name} here"
        assert ours.block_size == size, f"{name}: block size {ours.block_size}, gguf says {size}"
        if name in DISAGREEMENTS:
            assert (ours.block_bytes, block_bytes) == DISAGREEMENTS[name], (
                f"{name}: the disagreement is no longer {DISAGREEMENTS[name]}"
            )
        else:
            assert ours.block_bytes == block_bytes, f"{name}: {ours.block_bytes} != {block_bytes}"


def test_unknown_types_and_ragged_rows_are_refused_by_name() -> None:
    for key in ("Q9_9", 4, -1, 2**40):
        with pytest.raises(ValueError, match="unknown ggml type"):
            ggml_type(key)
    with pytest.raises(ValueError, match="type Q4_K: a row must be a multiple of 256"):
        ggml_type("Q4_K").row_bytes(255)
    with pytest.raises(ValueError, match="got -32"):
        ggml_type("Q8_0").row_bytes(-32)
