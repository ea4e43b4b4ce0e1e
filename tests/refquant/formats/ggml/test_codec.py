"""One codec over all types: sizes, names, options, and the type's own bytes."""

import importlib

import numpy as np
import pytest

from refquant.formats.ggml import codec, plain, q8_0
from refquant.formats.ggml.types import GGML_TYPES

NEEDS_IMPORTANCE = {"IQ2_XXS", "IQ2_XS", "IQ1_S"}  # ggml_quantize_requires_imatrix


@pytest.mark.parametrize("name", codec.BLOCK_TYPES)
def test_every_type_encodes_to_its_size_and_decodes_near(name: str) -> None:
    kind = GGML_TYPES[name]
    x = np.random.default_rng(15).standard_normal((2, 256)).astype(np.float32)
    importance = np.ones(256, np.float32) if name in NEEDS_IMPORTANCE else None
    data = codec.encode(x, type=name.lower(), importance=importance)
    assert data.shape == (2, kind.row_bytes(256)), "eq. (1)"
    module = importlib.import_module(f"refquant.formats.ggml.{name.lower()}")
    assert np.array_equal(data, module.encode(x, importance=importance)), "the type's own bytes"
    back = codec.decode(data, type=name)
    assert back.dtype == np.float32, "float32"
    assert np.array_equal(back, module.decode(data)), "the type's own values"
    relative = float(((back - x) ** 2).sum() / (x**2).sum())
    assert relative < 0.9, f"little better than zeros: {relative}"
    assert codec.flavours(name)[0] == "reference", "the default is the reference"


@pytest.mark.parametrize("name", plain.PLAIN_TYPES)
def test_plain_types_come_back(name: str) -> None:
    dtype = {"F64": np.float64}.get(
        name, np.dtype(f"int{name[1:]}") if name[0] == "I" else np.float32
    )
    x = np.array([[1, -2, 3]], dtype)
    data = codec.encode(x, type=name)
    assert data.shape == (1, GGML_TYPES[name].row_bytes(3)), "eq. (1)"
    back = codec.decode(data, type=name)
    assert back.dtype == dtype, "its own dtype"
    assert back.tolist() == x.tolist(), "small integers are exact in every plain type"
    with pytest.raises(ValueError, match=f"importance must be None for {name}"):
        codec.encode(x, type=name, importance=np.ones(3, np.float32))


def test_flavours_pass_and_unknown_ones_are_refused() -> None:
    x = np.random.default_rng(16).standard_normal(3200).astype(np.float32)
    for flavour in q8_0.FLAVOURS:
        expected = q8_0.encode(x, flavour=flavour)
        assert np.array_equal(codec.encode(x, type="Q8_0", flavour=flavour), expected), flavour
    ternary = codec.encode(np.ones(256, np.float32), type="TQ1_0", flavour="reference")
    assert len(ternary) == 54, "the only flavour may be named"
    for name in ("TQ1_0", "F32"):
        with pytest.raises(
            ValueError, match=f"flavour must be one of reference for {name}; got 'fma'"
        ):
            codec.encode(x[:256], type=name, flavour="fma")
    with pytest.raises(ValueError, match="unknown ggml type 'Q9'"):
        codec.encode(x, type="Q9")
    with pytest.raises(ValueError, match="unknown ggml type 'Q9'"):
        codec.decode(np.zeros(34, np.uint8), type="Q9")
