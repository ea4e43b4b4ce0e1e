"""A real model: SmolLM2-135M in a `.gguf` file, 134.5 million weights. `make models` fetches it."""

import time
from collections import Counter
from functools import cache
from pathlib import Path

import gguf as outsider
import pytest

from refquant.formats.gguf import GgufFile, gguf_bytes, read_gguf

pytestmark = pytest.mark.models

PATH = Path(__file__).parents[2] / "assets/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SECONDS = 10.0
"""What decoding all weights may take, on one core."""


@cache
def model() -> GgufFile:
    assert PATH.exists(), "the model is not there; run `make models`, or `make assets WANT=smollm2`"
    return read_gguf(PATH)


def test_the_types_and_sizes_are_what_is_known_of_the_model() -> None:
    file = model()
    types = Counter(tensor.type.name for tensor in file.tensors.values())
    assert types == {"Q4_1": 210, "F32": 61, "Q8_0": 1}, f"{types}"
    weights = sum(tensor.elements for tensor in file.tensors.values())
    assert weights == 134_515_008, f"{weights:,}"
    assert file.metadata["general.architecture"] == "llama", "another architecture"
    keys = ("block_count", "embedding_length", "feed_forward_length", "vocab_size")
    sizes = [int(file.metadata[f"llama.{key}"]) for key in keys]  # type: ignore[arg-type]  # of numbers, they are NumPy's
    assert sizes == [30, 576, 1536, 49_152], f"{sizes}"
    tokens = file.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, tuple), f"{type(tokens)}"
    assert len(tokens) == 49_152, f"{len(tokens)} tokens"


def test_reading_and_writing_is_the_identity() -> None:
    file = model()
    assert gguf_bytes(file.metadata, file.tensors.values()) == PATH.read_bytes(), "another byte"


def test_all_weights_are_decoded_in_time() -> None:
    file = model()
    begin = time.process_time()  # of all threads together
    weights = sum(tensor.decode().size for tensor in file.tensors.values())
    spent = time.process_time() - begin
    assert weights == 134_515_008, f"{weights:,}"
    assert spent <= SECONDS, f"{spent:.1f} s"


def test_every_tensor_decodes_as_gguf_decodes_it() -> None:
    file = model()
    theirs = outsider.GGUFReader(PATH).tensors
    assert [tensor.name for tensor in theirs] == list(file.tensors), "other tensors"
    for tensor in theirs:
        ours = file.tensors[tensor.name].decode()
        expected = outsider.dequantize(tensor.data, tensor.tensor_type).reshape(ours.shape)
        assert ours.tobytes() == expected.tobytes(), f"{tensor.name} differs"
