"""The activation that TFLite fuses into an operator: a clamp of codes, or a node of its own.

A real bound becomes a code of the output: 0 is the zero point; 6 is rounded, half away from zero by
TFLite's kernels (a division), half to even by XNNPACK's. A layer of float32 is followed by ``Relu``
or ``Clip``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refquant.contracts import Contract
from refquant.model.graph import Attribute
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import Scope
from refquant.numerics.rounding import round_half_away, round_half_even

__all__ = ["clamps", "finish", "need_no_activation"]

_BOUNDS: Mapping[int, tuple[float | None, float | None]] = {
    0: (None, None),
    1: (0.0, None),
    2: (-1.0, 1.0),
    3: (0.0, 6.0),
}
_NAMES = {4: "tanh", 5: "sign bit"}


def bounds(o: TfliteOperator) -> tuple[float | None, float | None]:
    """Return the bounds of the fused activation."""
    kind = o.options.get("FusedActivationFunction", 0)
    if kind not in _BOUNDS:
        raise UnsupportedError(f"has the fused activation {_NAMES.get(int(kind), kind)}")  # type: ignore[arg-type]  # a number
    return _BOUNDS[int(kind)]  # type: ignore[arg-type]  # a number


def need_no_activation(o: TfliteOperator) -> None:
    """Refuse an operator that fuses an activation where we know none."""
    if bounds(o) != (None, None):
        raise UnsupportedError("has a fused activation")


def clamps(s: Scope, o: TfliteOperator) -> dict[str, Attribute]:
    """Return the fused activation as ``clamp_min`` and ``clamp_max`` of the output's codes."""
    quant, bits = s.quant(o.outputs[0]), 16 if s.wide(o) else 8
    assert quant is not None, "the caller has seen it"
    assert not isinstance(quant.scale, str), "an activation"
    scale, zero_point = np.float32(quant.scale), int(quant.zero_point)
    found: dict[str, Attribute] = {}
    for name, bound in zip(("clamp_min", "clamp_max"), bounds(o), strict=True):
        if bound is not None:
            steps = np.asarray(np.float32(bound) / scale)
            even = s.tool == "xnnpack" and not s.wide(o)  # XNNPACK has no int16
            whole = round_half_even(steps) if even else round_half_away(steps)
            low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
            found[name] = int(np.clip(float(whole) + zero_point, low, high))
    return found


def finish(
    s: Scope,
    o: TfliteOperator,
    op: str,
    inputs: Sequence[str],
    order: str,
    attributes: Mapping[str, Attribute],
    contract: Contract | None = None,
) -> None:
    """Add a node that makes float32, and after it its fused activation."""
    low, high = bounds(o)
    own: dict[str, Any] = {"order": order, "attributes": attributes, "contract": contract}
    if (low, high) == (None, None):
        s.write(o, op, inputs, **own)
        return
    raw = s.write(o, op, inputs, **own, last=False)
    if (low, high) == (0.0, None):
        s.write(o, "Relu", [raw], order=order)
        return
    limits: dict[str, Attribute | None] = {"min": low, "max": high}
    kept = {key: v for key, v in limits.items() if v is not None}
    s.write(o, "Clip", [raw], order=order, attributes=kept)
