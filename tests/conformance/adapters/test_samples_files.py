"""Seed files: valid for the packages that define the formats."""

from io import BytesIO
from pathlib import Path

import gguf
import numpy as np
import onnx
import safetensors.numpy

from refquant.formats.gguf import parse_gguf
from refquant.model.importers.tflite import tflite_graph
from refquant.model.rq import parse_rq
from refquant_conformance.adapters.samples_files import seed_file


def test_every_seed_is_a_file_of_its_format(tmp_path: Path) -> None:
    assert list(parse_gguf(seed_file("gguf"), name="seed").tensors) == ["first", "other"], "ours"
    path = tmp_path / "seed.gguf"
    path.write_bytes(seed_file("gguf"))
    assert [t.name for t in gguf.GGUFReader(path).tensors] == ["first", "other"], "gguf's"
    tensors = safetensors.numpy.load(seed_file("safetensors"))
    assert {name: array.size for name, array in tensors.items()} == {"first": 4, "other": 2}, "two"
    onnx.checker.check_model(onnx.load(BytesIO(seed_file("onnx"))))
    assert parse_rq(seed_file("rq"), name="seed").constants, "checksums need constants"


def test_what_nobody_knows_has_no_seed_and_the_others_have_one() -> None:
    assert seed_file("pickle") == b"", "a format that is none"
    graph = tflite_graph(seed_file("tflite"), path="seed")
    assert [node.op for node in graph.nodes] == ["Add"], "x and a constant"
    assert np.frombuffer(seed_file("gguf"), np.uint8).size % 32 == 0, "data is aligned"
