"""The catalogue of formats: what there is, and that the oracle knows the sizes."""

from refquant.formats.ggml.types import ggml_type
from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.operators_formats import BLOCKS, FILES, FORMATS
from refquant_conformance.oracle_blocks import SIZES


def test_cells_of_formats_are_counted() -> None:
    counts = {table.name: len(OPERATORS[table.name].schemes) for table in FORMATS}
    blocks = {"block_quantize": 16, "block_dequantize": 16}
    assert counts == {"cast": 30, "decode": 9, "pack": 9, "unpack": 9, **blocks, "load": 5}, counts
    assert types_of("cast", "f64_bf16") == {"x": "float64", "y": "bfloat16"}, "short names"
    assert OPERATORS["load"].outputs == (), "a file has no outputs"
    assert "rq" in FILES, "our own format"


def test_the_oracle_has_the_sizes_of_the_reference() -> None:
    assert set(SIZES) == set(BLOCKS), "types without a size"
    for name in BLOCKS:
        kind = ggml_type(name)
        assert SIZES[name] == (kind.block_size, kind.block_bytes), name
