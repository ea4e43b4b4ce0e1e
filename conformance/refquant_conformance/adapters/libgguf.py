"""libgguf: ggml's own C loops, as a library for Python; for Linux on x86-64.

References
----------
libgguf 0.2, ``quantize_rows`` and ``dequantize_rows``.
"""

from collections.abc import Iterable
from importlib.metadata import version

import numpy as np

from refquant_conformance.adapters.engine import computed, cpu_flags, imported
from refquant_conformance.protocol import Capability, Case, Info, Rejected, Result, Unsupported

__all__ = ["LibGguf"]


class LibGguf:
    """The package. ``MissingBackendError`` if it is not installed."""

    protocol = 1

    def __init__(self) -> None:
        """Import it."""
        self._library = imported("libgguf", "libgguf")

    def info(self) -> Info:
        """Say which version this is."""
        return Info("libgguf", version("libgguf"), {}, {"cpu": cpu_flags()})

    def capabilities(self) -> Iterable[Capability]:
        """List every cell whose sample it computes."""
        return computed(self.run, ("block_quantize", "block_dequantize"))

    def run(self, case: Case) -> Result:
        """Encode or decode blocks, as one row."""
        if case.op not in ("block_quantize", "block_dequantize"):
            raise Unsupported(f"libgguf has no {case.op}")
        kind = int(self._library.GGMLQuantizationType[case.scheme.upper()])
        x = np.ascontiguousarray(case.inputs["x"])
        try:
            if case.op == "block_quantize":
                y = self._library.quantize_rows(x.reshape(1, -1), kind)
            else:
                y = self._library.dequantize_rows(x, kind)
        except (ValueError, RuntimeError) as refusal:
            raise Rejected(f"{type(refusal).__name__}: {refusal}") from None
        return Result({"y": np.ascontiguousarray(y).reshape(-1)})
