r"""The steps that explain a block of the IQ types: scale, sub-scales, points, signs, values.

Each module's ``CARD.explain`` unpacks the bytes that its ``encode`` wrote and names every field;
the product of the numbers shown is the decoded value:

.. math::

    \hat x = \text{sub-scale} \cdot \text{value of the table} \cdot \text{sign}   \tag{1}
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Step, number, padded_block, value_steps
from refquant.formats.ggml.iq_fields import GridReading
from refquant.formats.ggml.iq_grids import grid_levels
from refquant.formats.ggml.iq_signs import sign_factors
from refquant.formats.ggml.iq_ternary import TernaryFields, ternary_values

__all__ = ["grid_steps", "padding_step", "ternary_steps"]

F32 = NDArray[np.float32]


def padding_step(x: F32, *, block_size: int) -> Iterator[Step]:
    """Yield a step that says with how many zeros ``x`` is filled up, if it is.

    >>> [step.result for step in padding_step(np.ones(30, np.float32), block_size=32)]
    ['32 values']
    """
    if len(x) < block_size:
        yield Step("padding", f"{len(x)} values and {block_size - len(x)} zeros", "32 values"
                   if block_size == 32 else f"{block_size} values")  # fmt: skip


def grid_steps(
    x: F32, *, encode: Callable[[F32], NDArray[np.uint8]], reading: GridReading
) -> list[Step]:
    """Return the steps of a block of IQ2 or IQ3 that ``encode`` writes, ``reading`` reads: eq. (1).

    >>> from refquant.formats.ggml.iq_fields import GridFields
    >>> one = np.ones((1, 64), np.int32)
    >>> fields = GridFields(np.ones(1, np.float32), one[:, :8], one, one[:, :32].astype(np.uint8))
    >>> odd = np.arange(1, 16, 2, dtype=np.float32)
    >>> reading = GridReading(lambda data: fields, "iq3_s", odd, 0.5, "d * (1 + 2 c) / 2")
    >>> steps = grid_steps(np.array([2.5], np.float32), encode=lambda x: x, reading=reading)
    >>> steps[-1].how, steps[-1].result
    ('2.5 -> group 0, point 1, sign 1', '-4.5 (error -7)')
    """
    block = padded_block(x, block_size=256)
    fields = reading.unpack(encode(block).reshape(1, -1))
    scales, table = reading.sub_scales(fields)[0], reading.table()
    values, bits = table[fields.points[0]], sign_factors(fields.signs[0])
    dimensions, sub_block = table.shape[1], 256 // fields.codes.shape[1]
    steps = [*padding_step(x, block_size=256)]
    steps.append(
        Step("d", "the largest sub-block's scale / 31, as a half", number(fields.scale[0]))
    )
    for k in range(-(-len(x) // sub_block)):
        how = f"{reading.formula}, c = {fields.codes[0, k]}"
        steps.append(Step(f"sub-scale[{k}]", how, number(scales[k])))
    for group in range(-(-len(x) // dimensions)):
        shown = " ".join(number(value) for value in values[group])
        steps.append(Step(f"group[{group}]", f"point {fields.points[0, group]}", shown))
    decoded = np.repeat(scales, sub_block) * values.reshape(-1) * bits
    codes = [
        f"group {i // dimensions}, point {fields.points[0, i // dimensions]}, "
        f"sign {int(bits[i] < 0)}"
        for i in range(len(x))
    ]
    return steps + list(value_steps(x, codes, decoded))


def ternary_steps(
    x: F32,
    *,
    encode: Callable[[F32], NDArray[np.uint8]],
    unpack: Callable[[NDArray[np.uint8]], TernaryFields],
    how: str,
) -> list[Step]:
    """Return the steps of a block of IQ1; ``how`` says how its d was chosen.

    >>> one, zeros = np.ones(1, np.float32), np.zeros((1, 32), np.int32)
    >>> fields = TernaryFields(one, np.zeros((1, 8), np.int32), zeros, zeros)
    >>> steps = ternary_steps(-one, encode=lambda x: x, unpack=lambda data: fields, how="given")
    >>> steps[-1].how, steps[-1].result
    ('-1 -> point 0, -1 + 1/8', '-0.875 (error 0.125)')
    """
    block = padded_block(x, block_size=256)
    fields = unpack(encode(block).reshape(1, -1))
    sub_block, d = 256 // fields.codes.shape[1], fields.scale[0]
    steps = [*padding_step(x, block_size=256), Step("d", how, number(d))]
    for k in range(-(-len(x) // sub_block)):
        c = int(fields.codes[0, k])
        steps.append(Step(f"sub-scale[{k}]", f"d * (2 c + 1), c = {c}", number(d * (2 * c + 1))))
    levels = grid_levels("iq1")[fields.points[0]].astype(np.int64) - 1
    for group in range(-(-len(x) // 8)):
        shown = " ".join(str(level) for level in levels[group].tolist())
        down = " down" if fields.shifts[0, group] else " up"
        steps.append(Step(f"group[{group}]", f"point {fields.points[0, group]}, 1/8{down}", shown))
    codes = [
        f"point {fields.points[0, i // 8]}, {levels.reshape(-1)[i]} "
        f"{'-' if fields.shifts[0, i // 8] else '+'} 1/8"
        for i in range(len(x))
    ]
    return steps + list(value_steps(x, codes, ternary_values(fields)[0]))
