"""gguf-py: ggml's block types in NumPy, by the authors of llama.cpp; it reads files, too.

It decodes every type and encodes those that need no search. ``load_bytes`` reads a file and every
tensor in it.

References
----------
gguf 0.19, ``gguf/quants.py`` and ``gguf/gguf_reader.py``.
"""

import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from refquant_conformance.adapters.engine import computed, imported
from refquant_conformance.protocol import Capability, Case, Info, Rejected, Result, Unsupported

__all__ = ["GgufPy"]

OPERATORS = ("block_quantize", "block_dequantize")


class GgufPy:
    """The package. ``MissingBackendError`` if it is not installed."""

    protocol = 1

    def __init__(self) -> None:
        """Import it."""
        self._gguf = imported("gguf", "gguf")
        self._quants = imported("gguf.quants", "gguf")

    def info(self) -> Info:
        """Say which version this is."""
        return Info("gguf", version("gguf"), {}, {"numpy": np.__version__})

    def capabilities(self) -> Iterable[Capability]:
        """List every cell whose sample it computes."""
        return computed(self.run, OPERATORS)

    def run(self, case: Case) -> Result:
        """Encode or decode blocks."""
        if case.op not in OPERATORS:
            raise Unsupported(f"gguf has no {case.op}")
        kind = self._gguf.GGMLQuantizationType[case.scheme.upper()]
        one = self._quants.quantize if case.op == "block_quantize" else self._quants.dequantize
        with np.errstate(all="ignore"):  # its warnings are not its answer
            try:
                y = one(np.ascontiguousarray(case.inputs["x"]), kind)
            except NotImplementedError as refusal:
                raise Unsupported(f"gguf has no {case.op} {case.scheme}: {refusal}") from None
            except (ValueError, self._quants.QuantError) as refusal:
                raise Rejected(f"{type(refusal).__name__}: {refusal}") from None
        return Result({"y": np.ascontiguousarray(y)})

    def load_bytes(self, file_format: str, data: bytes) -> None:
        """Read a ``.gguf`` file."""
        if file_format != "gguf":
            raise Unsupported(f"gguf loads gguf, not {file_format}")
        with tempfile.TemporaryDirectory(prefix="refquant-") as folder:
            path = Path(folder) / "loaded.gguf"
            path.write_bytes(data)
            try:
                reader = self._gguf.GGUFReader(path)
                for tensor in reader.tensors:
                    tensor.data.tobytes()
            except Exception as error:  # whatever its parser raises refuses the file
                raise Rejected(f"{type(error).__name__}: {error}") from None
