"""What the codes of a weight mean: one scale, or one an output channel."""

from refquant.model.graph import Quant
from refquant.model.importers.tflite_model import TfliteTensor, UnsupportedError
from refquant.model.importers.tflite_scope import Scope, check_scales

__all__ = ["check_weight", "scales_of"]

Shape = tuple[int, ...]


def check_weight(tensor: TfliteTensor) -> None:
    """Refuse int8 weights that have no scales, or scales that are none."""
    if not tensor.scale.size:
        raise UnsupportedError("has int8 weights without scales")
    check_scales(tensor)


def scales_of(
    s: Scope, tensor: TfliteTensor, shape: Shape, name: str, *, channel: int, axis: int
) -> tuple[Quant, Shape]:
    """Hold the scales of a weight, several; return what they mean with zero point 0, their shape.

    ``channel``: which axis of the file's weight has the output channels; ``axis``: of ours, whose
    shape is ``shape``.
    """
    if tensor.axis != channel or tensor.scale.size != shape[axis]:
        raise UnsupportedError(
            f"has weights with {tensor.scale.size} scales along axis {tensor.axis}, not one an "
            "output channel"
        )
    grid = tuple(d if i == axis else 1 for i, d in enumerate(shape))
    block = tuple(1 if i == axis else d for i, d in enumerate(shape))
    return Quant(s.hold(s.free(f"{name}/scale"), tensor.scale.reshape(grid)), 0, block), grid
