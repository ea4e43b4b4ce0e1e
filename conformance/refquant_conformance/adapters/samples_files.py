"""One small valid file of every format, made when it is first asked for.

``.rq`` and ``.gguf`` files are written by the reference; a ``.safetensors`` file is a length, a
header and data, and is written here; an ``.onnx`` model needs the package ``onnx``. A ``.tflite``
file needs a schema and a flatbuffer library to be written: it is kept, 576 bytes that add x, int8,
to a constant called other.
"""

import base64
import json
import struct
import zlib
from functools import cache

import numpy as np

from refquant.contracts import preset
from refquant.formats.gguf import gguf_bytes, plain_tensor
from refquant.model.rq import rq_bytes

__all__ = ["seed_file"]


@cache
def seed_file(file_format: str) -> bytes:
    """Return a valid file; no bytes at all where it cannot be written here.

    >>> seed_file("gguf")[:4], len(seed_file("safetensors")) > 8
    (b'GGUF', True)
    """
    makers = {
        **{"gguf": _gguf, "safetensors": _safetensors, "onnx": _onnx, "rq": _rq},
        "tflite": _tflite,
    }
    return makers[file_format]() if file_format in makers else b""


_TFLITE = (
    "eNp1kTFuwjAYhR+OQSFEFVIZGEDKkIGBrczQqVOniguAiMSCqEoGch9mjoA6MHAAjsLQLnWfnT/CIGHp"
    "5cnO7+9/tnsApm/vL3DjCV100EaMEJozcAaMqIRKqYDSVgq40M/UkapRr+KpIwGr2SJL5kUyS/Jsk1t+"
    "RC4cIeKXCHa69oulj/U21ROeEofHtzlSTr7pn5K94/bFaEn2tNzSCoVZsZTHOv0Zo9FwZwLd5mhUZ7Q1"
    "KtDwxg/r58aYgeQLyuWm9nJq8cLeLWtDOY9da3q9gf5kz/9DYakHrDq1zpfZF313x/s15Sh5H+PqDZ+9"
    "Nxx5d/ko69bdUewKqrfw+9Rvch/GGtrt/QdGrTIu"
)


def _tflite() -> bytes:
    return zlib.decompress(base64.b64decode(_TFLITE))


def _gguf() -> bytes:
    x = np.arange(64, dtype=np.float32).reshape(2, 32)
    tensors = [plain_tensor("first", x), plain_tensor("other", x[:1] * 2)]
    return gguf_bytes({"general.architecture": "none", "general.name": "a file"}, tensors)


def _safetensors() -> bytes:
    data = np.arange(6, dtype=np.float32).tobytes()
    header = {
        "first": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        "other": {"dtype": "F32", "shape": [2], "data_offsets": [16, 24]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def _onnx() -> bytes:
    try:
        from onnx import TensorProto, helper
    except ModuleNotFoundError:
        return b""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
    weights = helper.make_tensor("w", TensorProto.FLOAT, [4], [1.0, 2.0, 3.0, 4.0])
    node = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "a file", ends[:1], ends[1:], [weights])
    opset = helper.make_opsetid("", 21)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    return bytes(model.SerializeToString())


def _rq() -> bytes:
    from refquant_conformance.adapters.rq_graphs import graph_of
    from refquant_conformance.adapters.samples import sample

    return rq_bytes(graph_of(sample("qlinear_matmul", "u8_i8"), preset("ort")))
