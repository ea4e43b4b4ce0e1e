"""Shape algebra, folded: SHAPE, STRIDED_SLICE and PACK of numbers that the file fixes.

Keras writes "reshape to the batch I got" as a computation. All shapes are known here, so it is done
at import, and the operators disappear.
"""

import numpy as np

from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import Scope

__all__ = ["pack", "shape", "strided_slice"]


def shape(s: Scope, o: TfliteOperator) -> None:
    """SHAPE of any tensor: a constant."""
    s.folded[o.outputs[0]] = np.array(s.tensor(o.inputs[0]).shape, np.int32)


def strided_slice(s: Scope, o: TfliteOperator) -> None:
    """STRIDED_SLICE of a constant vector."""
    values = np.array(s.numbers(o.inputs[0]), np.int32)
    begin, end, step = (s.numbers(i) for i in o.inputs[1:4])
    if any(o.options.get(k, 0) for k in ("EllipsisMask", "NewAxisMask")) or not (
        len(begin) == len(end) == len(step) == 1 and step[0]
    ):
        raise UnsupportedError("slices more than one axis")
    given = s.constant(o.inputs[0])
    if given is None or given.ndim != 1:
        raise UnsupportedError("slices more than a vector")
    if o.options.get("ShrinkAxisMask", 0):
        if not -values.size <= begin[0] < values.size:
            raise ValueError(f"element {begin[0]} of {values.size}")
        s.folded[o.outputs[0]] = np.array(values[begin[0]], np.int32)
        return
    first = None if o.options.get("BeginMask", 0) else begin[0]
    last = None if o.options.get("EndMask", 0) else end[0]
    s.folded[o.outputs[0]] = values[first : last : step[0]]


def pack(s: Scope, o: TfliteOperator) -> None:
    """PACK of constant numbers to a vector."""
    parts = [s.numbers(i) for i in o.inputs]
    if any(len(part) != 1 for part in parts) or len(parts) > 64:
        raise UnsupportedError("packs more than numbers")
    s.folded[o.outputs[0]] = np.array([part[0] for part in parts], np.int32)
