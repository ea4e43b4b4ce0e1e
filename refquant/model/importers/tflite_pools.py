"""Pools and means: AVERAGE_POOL_2D, MAX_POOL_2D, MEAN.

TFLite's pools count no padding. A MEAN over height and width stays in our order; over other axes it
is computed in the file's.
"""

from refquant.model.graph import Attribute
from refquant.model.importers.tflite_activations import bounds, clamps, finish
from refquant.model.importers.tflite_kernels import contract_of
from refquant.model.importers.tflite_layers import window
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import AS_IS, FIRST, Scope

__all__ = ["average_pool", "max_pool", "mean"]

_PLACES = {0: 0, 1: 2, 2: 3, 3: 1}  # of an axis of N H W C in N C H W


def average_pool(s: Scope, o: TfliteOperator) -> None:
    """AVERAGE_POOL_2D: on codes, input and output share their parameters."""
    x, attributes = s.read(o.inputs[0], FIRST), _pool(s, o)
    if s.quant(o.inputs[0]) is None:
        finish(s, o, "AveragePool", [x], FIRST, attributes)
        return
    if s.quant(o.inputs[0]) != s.quant(o.outputs[0]):
        raise UnsupportedError("has other parameters at its output than at its input")
    s.write(
        o, "AveragePool", [x], order=FIRST, attributes=attributes | clamps(s, o),
        contract=contract_of(s.tool, o.op),
    )  # fmt: skip


def max_pool(s: Scope, o: TfliteOperator) -> None:
    """MAX_POOL_2D: on codes, a fused activation is a clamp behind it."""
    x, attributes = s.read(o.inputs[0], FIRST), _pool(s, o)
    if s.quant(o.inputs[0]) is None:
        finish(s, o, "MaxPool", [x], FIRST, attributes)
        return
    if s.quant(o.inputs[0]) != s.quant(o.outputs[0]):
        raise UnsupportedError("has other parameters at its output than at its input")
    if bounds(o) == (None, None):
        s.write(o, "MaxPool", [x], order=FIRST, attributes=attributes)
        return
    raw = s.write(o, "MaxPool", [x], order=FIRST, attributes=attributes, last=False)
    s.write(
        o, "Clip", [raw], order=FIRST, attributes=clamps(s, o),
        contract=contract_of(s.tool, o.op),
    )  # fmt: skip


def mean(s: Scope, o: TfliteOperator) -> None:
    """MEAN along constant axes."""
    shape = s.tensor(o.inputs[0]).shape
    axes = sorted({axis + len(shape) if axis < 0 else axis for axis in s.numbers(o.inputs[1])})
    if not axes or not 0 <= axes[0] <= axes[-1] < len(shape):
        raise ValueError(f"axes {axes} of {list(shape)}")
    keep = int(bool(o.options.get("KeepDims", False)))
    plane = len(shape) == 4 and axes == [1, 2]
    inside = FIRST if plane else AS_IS
    places = tuple(sorted(_PLACES[axis] for axis in axes)) if plane else tuple(axes)
    attributes: dict[str, Attribute] = {"axes": places, "keepdims": keep}
    quantized = s.quant(o.inputs[0]) is not None
    if quantized != (s.quant(o.outputs[0]) is not None):
        raise UnsupportedError("has codes on one side and reals on the other")
    s.write(
        o, "ReduceMean", [s.read(o.inputs[0], inside)], order=inside if plane and keep else AS_IS,
        attributes=attributes,
        contract=contract_of(s.tool, o.op, given_back=s.wide(o)) if quantized else None,
    )  # fmt: skip


def _pool(s: Scope, o: TfliteOperator) -> dict[str, Attribute]:
    shape = s.tensor(o.inputs[0]).shape
    kernel = tuple(int(o.options.get(f"Filter{d}", 0)) for d in ("Height", "Width"))  # type: ignore[arg-type]  # numbers
    if len(shape) != 4 or min(kernel) < 1:
        raise ValueError(f"a pool takes (N, H, W, C) and a window, got {list(shape)} and {kernel}")
    attributes = window(o, shape[1:3], kernel)
    del attributes["dilations"]
    return attributes | {"kernel_shape": kernel}
