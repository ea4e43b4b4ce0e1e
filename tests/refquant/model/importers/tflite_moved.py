"""One operator that moves codes, as a file: what the tests of parts and pixels read."""

from typing import Any

import numpy as np

from tests.refquant.model.importers.tflite_bytes import Model

Q: dict[str, Any] = {"scale": 0.25, "zero_point": 5}


def moved(
    op: str, shape: tuple[int, ...], outs: list[tuple[int, ...]], *constants: Any,
    first: bool = False, output: dict[str, Any] | None = None, **options: Any,
) -> bytes:  # fmt: skip
    """Return the file: an int8 input ``x``, int32 ``constants``, outputs ``y0``, ``y1``, ..."""
    m = Model()
    x = m.tensor((1, *shape), name="x", **Q)
    held = []
    for c in constants:
        array = np.asarray(c, np.int32)
        held.append(m.tensor(array.shape, "int32", values=array))
    y = [m.tensor(out, name=f"y{i}", **(output or Q)) for i, out in enumerate(outs)]
    m.op(op, [*held, x] if first else [x, *held], y, **options)
    return m.data([x], y)


def codes(*shape: int) -> Any:
    """Return two samples of codes that are all different, as far as there are."""
    n = int(np.prod(shape))
    return (np.arange(2 * n) * 7 % 256 - 128).astype(np.int8).reshape(2, *shape)
