"""ml_dtypes: the small floats of JAX and NumPy, as casts between arrays.

It has no settings: what it does with overflow and NaN is its own. float16 is NumPy's, and left out.

References
----------
ml_dtypes 0.6, ``ml_dtypes/include/float8.h``.
"""

from collections.abc import Iterable
from importlib.metadata import version

import numpy as np

from refquant_conformance.adapters.engine import computed, imported
from refquant_conformance.protocol import Array, Capability, Case, Info, Result, Unsupported
from refquant_conformance.types import SMALL_FLOATS, storage

__all__ = ["MlDtypes"]


class MlDtypes:
    """The package. ``MissingBackendError`` if it is not installed."""

    protocol = 1

    def __init__(self) -> None:
        """Import it."""
        self._kinds = imported("ml_dtypes", "ml_dtypes")

    def info(self) -> Info:
        """Say which version this is."""
        return Info("ml_dtypes", version("ml_dtypes"), {}, {"numpy": np.__version__})

    def capabilities(self) -> Iterable[Capability]:
        """List every cell whose sample it computes."""
        return computed(self.run, ("cast", "decode"))

    def run(self, case: Case) -> Result:
        """Cast to a small float, or from one to float32."""
        x: Array = case.inputs["x"]
        small = case.types["y" if case.op == "cast" else "x"]
        if case.op not in ("cast", "decode") or small not in SMALL_FLOATS:
            raise Unsupported(f"ml_dtypes has no {case.op} {case.scheme}")
        if case.params.get("saturate") is not None:
            raise Unsupported("a cast of ml_dtypes has no attribute saturate")
        kind = np.dtype(getattr(self._kinds, small))
        with np.errstate(all="ignore"):  # its warnings are not its answer
            if case.op == "cast":
                return Result({"y": x.astype(kind).view(storage(small))})
            return Result({"y": np.ascontiguousarray(x).view(kind).astype(np.float32)})

    def repro(self, case: Case) -> str:
        """Return a program that asks the same of ml_dtypes alone."""
        x = case.inputs["x"]
        small = case.types["y" if case.op == "cast" else "x"]
        bits = f"u{x.dtype.itemsize}"
        lines = [
            f"# {case.op} {case.scheme}, ml_dtypes {version('ml_dtypes')}",
            "import ml_dtypes",
            "import numpy as np",
            f"bits = np.array({x.view(bits).tolist()}, {bits!r})",
            f"kind = np.dtype(ml_dtypes.{small})",
        ]
        if case.op == "cast":
            own = storage(small).name
            lines.append(f"print(bits.view({x.dtype.name!r}).astype(kind).view({own!r}).tolist())")
        else:
            lines.append("print(bits.view(kind).astype(np.float32).tolist())")
        return "\n".join([*lines, ""])
