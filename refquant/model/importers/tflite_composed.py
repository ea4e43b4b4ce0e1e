"""MAXIMUM, MINIMUM, PRELU and SQUARED_DIFFERENCE, of reals and of int8, from operators we have.

LiteRT computes them on int8 by its own kernels under every resolver. Each is exact sums, products
and tables, so no operator of its own would say more::

    MAXIMUM             by a number: a table. Else codes -> reals -> Max -> the same codes
    PRELU               z' + M(max(d, 0); f32(s / s')) + M(min(d, 0) e; f32(f32(s t) / s'))
    SQUARED_DIFFERENCE  z' + M((A - B)^2; u^2 / (2^14 s')),  A = M(2^7 d; s / u), B likewise

d is q - z, e the slope's code less its zero point and t its scale, u twice the larger scale of the
two inputs, M a product by ``gemmlowp_double``. The two terms of PRELU are never both other than 0,
and their sum by equal scales is exact. A and B are int16 codes of one scale, and so is A - B.

Left out: MAXIMUM and MINIMUM of codes that mean different things, which LiteRT compares as they
are; of int8 DIV, FLOOR_DIV and POW, for which LiteRT has no kernels.

References: LiteRT ``kernels/maximum_minimum.cc``, ``reference/prelu.h``,
``kernels/squared_difference.cc``.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import preset
from refquant.model.graph import Quant
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_pointwise import aligned
from refquant.model.importers.tflite_scope import FIRST, Scope
from refquant.model.importers.tflite_slices import need_equal
from refquant.model.importers.tflite_steps import dequantized, mapped, need_codes, step
from refquant.numerics.requantize import requantize

__all__ = ["extreme", "prelu", "squared_difference"]

Int64 = NDArray[np.int64]
_CODES = np.arange(-128, 128, dtype=np.int64)
_EXTREMES = {"MAXIMUM": ("Max", np.maximum), "MINIMUM": ("Min", np.minimum)}


def extreme(s: Scope, o: TfliteOperator) -> None:
    """MAXIMUM and MINIMUM of two tensors."""
    op, larger = _EXTREMES[o.op]
    order, inputs = aligned(s, o)
    quant = s.quant(o.outputs[0])
    if quant is None:
        need_equal(s, o, o.inputs[:2])
        s.write(o, op, inputs, order=order)
        return
    need_equal(s, o, o.inputs[:2])
    for index, other in ((0, 1), (1, 0)):
        number = s.constant(o.inputs[index])
        single = number is not None and number.size == 1 and not s.wide(o)
        if number is not None and single and s.constant(o.inputs[other]) is None:
            table = larger(_CODES, int(number.reshape(())[()])).astype(np.int8)
            held = s.hold(s.free(f"{s.tensor(o.outputs[0]).name}/table"), table, quant=quant)
            s.write(
                o, "Requantize", [inputs[other], held], order=order,
                contract=preset("tflite_reference"),
            )  # fmt: skip
            return
    reals = [dequantized(s, o, i, order) for i in o.inputs[:2]]
    chosen = step(s, o, op, reals, op.lower())
    s.write(o, "QuantizeLinear", [chosen], order=order, contract=preset("tflite_reference"))


def prelu(s: Scope, o: TfliteOperator) -> None:
    """PRELU with slopes that broadcast."""
    order, (x, slope) = aligned(s, o)
    if all(s.quant(i) is None for i in (*o.inputs[:2], o.outputs[0])):
        zero = s.hold(s.free("zero"), np.zeros((1,) * (4 if order == FIRST else 1), np.float32))
        below = step(s, o, "Min", [x, zero], "below")
        parts = [
            step(s, o, "Relu", [x], "above"),
            step(s, o, "Mul", [below, slope], "sloped"),
        ]
        s.write(o, "Add", parts, order=order)
        return
    before, _, after = need_codes(s, o, (*o.inputs[:2], o.outputs[0]))
    ratio = _ratio(before, after)
    offset = np.maximum(_CODES - int(before.zero_point), 0)
    table = requantize(offset, np.float64(ratio), mode="gemmlowp_double") + int(after.zero_point)
    codes = np.clip(table, -128, 127).astype(np.int8)
    above = mapped(s, o, x, codes, after, "above", preset("tflite_reference"))
    below = step(
        s, o, "Clip", [x], "below", quant=before, contract=preset("tflite_reference"),
        attributes={"clamp_max": int(before.zero_point)},
    )  # fmt: skip
    product = preset("tflite_mul")
    sloped = step(s, o, "Mul", [below, slope], "sloped", quant=after, contract=product)
    s.write(o, "Add", [above, sloped], order=order, contract=preset("tflite_reference"))


def squared_difference(s: Scope, o: TfliteOperator) -> None:
    """SQUARED_DIFFERENCE of two tensors."""
    order, inputs = aligned(s, o)
    ends = (*o.inputs[:2], o.outputs[0])
    if all(s.quant(i) is None for i in ends):
        apart = step(s, o, "Sub", inputs, "difference")
        s.write(o, "Mul", [apart, apart], order=order)
        return
    a, b, after = need_codes(s, o, ends)
    own = preset("tflite_reference")
    twice = 2 * max(np.float32(a.scale), np.float32(b.scale)).astype(np.float64)
    share = Quant(float(np.float32(twice / 128)), 0)
    real = twice * twice / (2.0**14 * np.float64(np.float32(after.scale)))
    if not real < 1 or not 2.0**-119 <= twice < np.inf:
        raise UnsupportedError(f"has an output multiplier of {real}, which LiteRT takes below 1")
    shared = [
        mapped(s, o, name, _shared(quant, twice, sign), share, f"shared{place}", own)
        for place, (name, quant, sign) in enumerate(zip(inputs, (a, b), (1, -1), strict=True))
    ]
    apart = step(
        s, o, "Add", shared, "difference", quant=share, contract=own, dtype="int16"
    )  # fmt: skip
    wide = np.minimum(np.abs(np.arange(-(1 << 15), 1 << 15, dtype=np.int64)), 255 << 7)
    codes = requantize(wide * wide, real, mode="gemmlowp_double") + int(after.zero_point)
    table = np.clip(codes, -128, 127).astype(np.int8)
    from_difference = mapped(s, o, apart, table, after, "squared", own)
    s.write(o, "Identity", [from_difference], order=order)


def _shared(quant: Quant, twice: np.float64, sign: int) -> NDArray[np.int16]:
    """Return A, or -B, of every code."""
    offset = (_CODES - int(quant.zero_point)) << 7
    share = np.float64(np.float32(quant.scale)) / twice
    codes: Int64 = sign * requantize(offset, share, mode="gemmlowp_double")
    return codes.astype(np.int16)


def _ratio(before: Quant, after: Quant) -> np.float32:
    with np.errstate(over="ignore", under="ignore"):
        ratio = np.float32(np.float32(before.scale) / np.float32(after.scale))
    if not np.isfinite(ratio):
        raise UnsupportedError("has an output scale too small for its input's")
    return ratio
