"""Scale and zero point of each element of a case of a quantizer."""

import numpy as np

from refquant_conformance.protocol import Array, Case

__all__ = ["parameters_of_each", "spread"]


def spread(case: Case) -> tuple[Array, Array]:
    """Return scale (its own dtype) and zero point (int64) so that they broadcast against ``x``.

    A case without a zero point has 0.

    >>> from refquant_conformance.arithmetic.quantize import case_of
    >>> x = np.zeros((2, 3), np.float32)
    >>> case = case_of("f32_u8_channel", x, np.float32([1, 2]), np.uint8([3, 4]), axis=-2)
    >>> [part.tolist() for part in spread(case)]
    [[[1.0], [2.0]], [[3], [4]]]
    """
    scale = case.inputs["scale"]
    zero_point = case.inputs.get("zero_point", np.zeros(scale.shape, np.int64)).astype(np.int64)
    if scale.ndim == 0:
        return scale, zero_point
    shape, axis = case.inputs["x"].shape, int(case.params["axis"] or 0)  # type: ignore[arg-type]  # an axis is an integer
    size = int(case.params.get("block_size") or 0)  # type: ignore[arg-type]  # as above
    if size:
        wide = [np.repeat(v, size, axis=axis) for v in (scale, zero_point)]
        return wide[0], wide[1]
    along = tuple(-1 if i == axis % len(shape) else 1 for i in range(len(shape)))
    return scale.reshape(along), zero_point.reshape(along)


def parameters_of_each(case: Case, index: int) -> tuple[float, int]:
    """Return scale and zero point of element ``index`` of the flattened ``x``."""
    shape = case.inputs["x"].shape
    place = np.unravel_index(index, shape)
    scale, zero_point = (np.broadcast_to(v, shape)[place] for v in spread(case))
    return float(scale), int(zero_point)
