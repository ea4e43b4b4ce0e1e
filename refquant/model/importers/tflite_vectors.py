"""L2_NORMALIZATION and LOG_SOFTMAX along the last axis, of reals and of int8.

L2_NORMALIZATION of int8 is the operator `refquant.ops.l2_normalization` in every tool. LOG_SOFTMAX
of int8 is in LiteRT's optimized kernel, which runs beside XNNPACK, a formula in float32 with one
table, t, of 256 exponentials, and so it is built from operators we have::

    l = Log(sum t[m - q]),  m the largest code
    y = rint(f32(f32(s/s' q) - f32(f32(f32(s m) + l) / s'))) + 127                              (1)

Log is ours (operators, section 1), within an ulp or two of a libm's. By the reference kernels it is
a logarithm in fixed point, refused.

Left out: fused activations of L2_NORMALIZATION, which LiteRT has not either; uint8.

References: LiteRT ``kernels/l2norm.cc``, ``optimized/optimized_ops.h`` (LogSoftmax).
"""

import numpy as np

from refquant.contracts import preset
from refquant.formats.qparams import QParams
from refquant.model.graph import Attribute, Quant
from refquant.model.importers.tflite_activations import need_no_activation
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import Scope
from refquant.model.importers.tflite_steps import hold_table, need_codes, reread, step
from refquant.ops.l2_normalization import LONGEST
from refquant.ops.softmax import softmax_table

__all__ = ["l2_normalization", "log_softmax"]

_CODES = Quant(1.0, 0)


def l2_normalization(s: Scope, o: TfliteOperator) -> None:
    """L2_NORMALIZATION: of reals by max(length, 1e-6)."""
    need_no_activation(o)
    x = s.read(o.inputs[0])
    shape = s.tensor(o.inputs[0]).shape
    if s.quant(o.inputs[0]) is None and s.quant(o.outputs[0]) is None:
        squares = step(s, o, "Mul", [x, x], "squares")
        total = step(s, o, "ReduceSum", [squares], "sum", attributes=_last(shape))
        least = s.hold(s.free("least"), np.full(1, 1e-6, np.float32))
        length = step(s, o, "Max", [step(s, o, "Sqrt", [total], "root"), least], "length")
        s.write(o, "Div", [x, length])
        return
    _, after = need_codes(s, o, (o.inputs[0], o.outputs[0]))
    if after != Quant(2.0**-7, 0):
        raise UnsupportedError(f"has the output scale {after.scale}, which LiteRT refuses")
    if len(shape) < 2 or not 1 <= shape[-1] <= LONGEST:
        raise UnsupportedError(f"has vectors of {list(shape)}, of more than {LONGEST} or none")
    s.write(o, "L2Normalization", [x])


def log_softmax(s: Scope, o: TfliteOperator) -> None:
    """LOG_SOFTMAX: of int8 eq. (1)."""
    axes = _last(s.tensor(o.inputs[0]).shape)
    if s.quant(o.inputs[0]) is None and s.quant(o.outputs[0]) is None:
        x = s.read(o.inputs[0])
        below = step(
            s, o, "Sub", [x, step(s, o, "ReduceMax", [x], "largest", attributes=axes)], "below"
        )
        total = step(s, o, "ReduceSum", [step(s, o, "Exp", [below], "exp")], "sum", attributes=axes)
        s.write(o, "Sub", [below, step(s, o, "Log", [total], "log")])
        return
    before, after = need_codes(s, o, (o.inputs[0], o.outputs[0]))
    if s.tool != "xnnpack":
        raise UnsupportedError(
            "of int8: LiteRT's reference kernel has a logarithm in fixed point; import it for "
            "xnnpack"
        )
    if after != Quant(2.0**-4, 127):
        raise UnsupportedError(f"has the output scale {after.scale}, which LiteRT refuses")
    _of_codes(s, o, before, after, axes)


def _of_codes(
    s: Scope, o: TfliteOperator, before: Quant, after: Quant, axes: dict[str, Attribute]
) -> None:
    """Write eq. (1)."""
    sx, sy = np.float32(before.scale), np.float32(after.scale)
    codes = reread(s, o, s.read(o.inputs[0]), _CODES, "codes")
    own = preset("tflite_builtin")
    q = step(s, o, "DequantizeLinear", [codes], "numbers", contract=own)
    most = step(s, o, "ReduceMax", [q], "largest", attributes=axes)
    far = step(s, o, "Sub", [most, q], "far")
    place = s.builder.node(
        "Cast", [far], name=s.free(f"{far}/places"), attributes={"to": 6}, dtype="int32"
    )
    ruler = QParams(sx, np.int32(before.zero_point), None, "int8")
    table = s.hold(s.free("exponentials"), softmax_table(ruler, beta=1.0, contract=own))
    total = step(
        s, o, "ReduceSum", [step(s, o, "Gather", [table, place], "exp")], "sum", attributes=axes
    )
    log = step(s, o, "Log", [total], "log")

    def by(op: str, a: str, number: np.float32, label: str) -> str:
        held = s.hold(s.free(f"{label}/by"), np.full(1, number, np.float32))
        return step(s, o, op, [a, held], label)

    lowered = step(s, o, "Add", [by("Mul", most, sx, "top"), log], "lowered")
    steps = step(
        s, o, "Sub", [by("Mul", q, sx / sy, "scaled"), by("Div", lowered, sy, "offset")], "steps"
    )
    made = step(
        s, o, "QuantizeLinear", [steps], "rounded", quant=Quant(1.0, 127), contract=preset("ort")
    )
    same = np.arange(-128, 128).astype(np.int8)
    s.write(o, "Requantize", [made, hold_table(s, o, same, after)], contract=own)


def _last(shape: tuple[int, ...]) -> dict[str, Attribute]:
    if len(shape) < 2:
        raise UnsupportedError(f"of {list(shape)}, which has one axis")
    return {"axes": (len(shape) - 1,), "keepdims": 1}
