"""The ``.gguf`` file: what holds ggml's tensors, and what is said about them.

errors  cursor                     what can be wrong, and where; reading bytes without trusting them
values  tensor                     what a file holds: typed metadata, tensors of blocks
read  write                        the file
imatrix  imatrix_legacy            files of importance: how much each column of a weight matters
"""

from refquant.formats.gguf.errors import GgufError
from refquant.formats.gguf.imatrix import Imatrix, ImatrixEntry, read_imatrix, write_imatrix
from refquant.formats.gguf.read import GgufFile, parse_gguf, read_gguf
from refquant.formats.gguf.tensor import GgufTensor, plain_tensor
from refquant.formats.gguf.write import gguf_bytes, write_gguf

__all__ = [
    "GgufError",
    "GgufFile",
    "GgufTensor",
    "Imatrix",
    "ImatrixEntry",
    "gguf_bytes",
    "parse_gguf",
    "plain_tensor",
    "read_gguf",
    "read_imatrix",
    "write_gguf",
    "write_imatrix",
]
