"""SUM, REDUCE_MAX, REDUCE_MIN, ARG_MAX and ARG_MIN of reals and of int8; BATCH_MATMUL.

On codes the axes that go are moved to the end and joined, and then it is one operator we have::

    (N, ..., axes) -> (N, K, L):  REDUCE_MAX  GlobalMaxPool
                                  REDUCE_MIN  the same between two complements, ~q
                                  SUM         ReduceMean

XNNPACK's SUM is its MEAN with the multiplier m = f32(s / s') in place of f32(f32(s / s') f32(1/n)),
so it is the mean of the same codes read with a scale S that gives this m:

    f32(f32(S / s') f32(1/n)) = m,   S near n s                                              (1)

LiteRT's reference kernel of an int8 SUM reads the codes as if they were uint8 (2.3.0): refused.

Of BATCH_MATMUL the reference kernel's multiplier is float64(f32(s t)) / s': a MatMul of codes
whose scales are f32(s t) and 1. Which codes they are does not change.

Left out: ARG_MAX of int16; products of int8 by XNNPACK whose second operand has a zero point that
is not 0 (it gives those back to an optimized kernel); dynamic-range products; int32 outputs of
BATCH_MATMUL.

References: LiteRT ``kernels/reduce.cc``, ``reference/reduce.h``, ``kernels/batch_matmul.cc``.
"""

import math

import numpy as np

from refquant.contracts import preset
from refquant.model.graph import DTYPES, Attribute, Quant
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import AS_IS, Scope
from refquant.model.importers.tflite_slices import need_equal
from refquant.model.importers.tflite_steps import (
    dequantized,
    finished,
    mapped,
    need_codes,
    plain,
    reread,
    step,
)

__all__ = ["arg_extreme", "batch_matmul", "reduce_extreme", "reduce_sum"]

_REAL = {"SUM": "ReduceSum", "REDUCE_MAX": "ReduceMax", "REDUCE_MIN": "ReduceMin"}


def reduce_sum(s: Scope, o: TfliteOperator) -> None:
    """SUM along constant axes."""
    if _reals(s, o):
        return
    before, after = need_codes(s, o, (o.inputs[0], o.outputs[0]))
    if s.tool != "xnnpack":
        raise UnsupportedError(
            "of int8: LiteRT's reference kernel reads the codes as uint8; import it for xnnpack"
        )
    source, length = _joined(s, o, s.read(o.inputs[0]))
    scale = _larger(np.float32(before.scale), np.float32(after.scale), length)
    wide = reread(s, o, source, Quant(scale, before.zero_point), "wide")
    attributes: dict[str, Attribute] = {"axes": (2,)}
    made = step(
        s, o, "ReduceMean", [wide], "sum", quant=after, contract=preset("xnnpack"),
        attributes=attributes,
    )  # fmt: skip
    finished(s, o, made)


def _larger(sx: np.float32, sy: np.float32, length: int) -> float:
    """Return eq. (1)'s scale: of codes whose mean is the sum, multiplier for multiplier.

    >>> _larger(np.float32(0.5), np.float32(2), 8)
    4.0
    """
    share = np.float32(1) / np.float32(length)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        wanted, first = np.float32(sx / sy), np.float32(sx * np.float32(length))
        for i in range(-8, 9):
            scale = first + np.float32(i) * np.spacing(first)
            if 2.0**-126 <= scale < np.inf and np.float32(np.float32(scale / sy) * share) == wanted:
                return float(scale)
    raise UnsupportedError(
        f"sums {length} codes of scales {float(sx)} and {float(sy)}, which no mean computes"
    )


def reduce_extreme(s: Scope, o: TfliteOperator) -> None:
    """REDUCE_MAX and REDUCE_MIN along constant axes."""
    if _reals(s, o):
        return
    need_equal(s, o, o.inputs[:1])
    (quant,) = need_codes(s, o, o.outputs[:1])
    source, _ = _joined(s, o, s.read(o.inputs[0]))
    kind = s.builder.values[source].dtype
    if o.op == "REDUCE_MAX":
        finished(s, o, step(s, o, "GlobalMaxPool", [source], "largest", quant=quant, dtype=kind))
        return
    turned, own = Quant(quant.scale, ~int(quant.zero_point)), preset("tflite_reference")
    complement = np.arange(DTYPES[kind].qmax, DTYPES[kind].qmin - 1, -1).astype(kind)
    source = mapped(s, o, source, complement, turned, "turned", own)
    least = step(s, o, "GlobalMaxPool", [source], "least", quant=turned, dtype=kind)
    finished(s, o, mapped(s, o, least, complement, quant, "back", own))


def _reals(s: Scope, o: TfliteOperator) -> bool:
    """Write a reduction of reals, and say whether it is one."""
    if s.quant(o.inputs[0]) is not None or s.quant(o.outputs[0]) is not None:
        return False
    keep = int(bool(o.options.get("KeepDims", False)))
    attributes: dict[str, Attribute] = {"axes": tuple(_axes(s, o)), "keepdims": keep}
    s.write(o, _REAL[o.op], [s.read(o.inputs[0])], attributes=attributes)
    return True


def _axes(s: Scope, o: TfliteOperator) -> list[int]:
    """Return the axes that go, in ascending order; the batch stays."""
    rank = len(s.tensor(o.inputs[0]).shape)
    axes = sorted({axis + rank if axis < 0 else axis for axis in s.numbers(o.inputs[1])})
    if not axes or not 0 <= axes[0] <= axes[-1] < rank or (s.batched and axes[0] == 0):
        raise ValueError(f"axes {axes} of {rank}")
    return axes


def _joined(s: Scope, o: TfliteOperator, source: str) -> tuple[str, int]:
    """Return the input as (N, K, L), L the product of the axes that go, and L."""
    shape, axes = s.tensor(o.inputs[0]).shape, _axes(s, o)
    if axes[0] == 0:
        raise UnsupportedError("reduces the first axis")
    order = [axis for axis in range(len(shape)) if axis not in axes] + axes
    length = math.prod(shape[axis] for axis in axes)
    quant, kind = s.quant(o.inputs[0]), s.builder.values[source].dtype
    kept = math.prod(shape[axis] for axis in order[1 : -len(axes)])
    if order != sorted(order):
        own: dict[str, Attribute] = {"perm": tuple(order)}
        source = step(
            s, o, "Transpose", [source], "turned", attributes=own, quant=quant, dtype=kind
        )
    joined: dict[str, Attribute] = {"shape": (0 if s.batched else shape[0], kept, length)}
    made = step(s, o, "Reshape", [source], "joined", attributes=joined, quant=quant, dtype=kind)
    return made, length


def arg_extreme(s: Scope, o: TfliteOperator) -> None:
    """ARG_MAX and ARG_MIN along one axis: int32, for int64 too; of equals the first."""
    if s.tensor(o.outputs[0]).dtype not in ("int32", "int64") or s.tensor(o.outputs[0]).quantized:
        raise UnsupportedError(f"makes {s.tensor(o.outputs[0]).dtype}, not int32 or int64")
    rank = len(s.tensor(o.inputs[0]).shape)
    (axis, *more) = s.numbers(o.inputs[1])
    if more or not -rank <= axis < rank or (s.batched and axis % rank == 0):
        raise ValueError(f"axis {[axis, *more]} of {rank}")
    real = dequantized(s, o, o.inputs[0])
    op = "ArgMax" if o.op == "ARG_MAX" else "ArgMin"
    plain(s, o, op, [real], "int32", {"axis": axis % rank, "keepdims": 0})


def batch_matmul(s: Scope, o: TfliteOperator) -> None:
    """BATCH_MATMUL of two tensors, each perhaps transposed."""
    ends = (*o.inputs[:2], o.outputs[0])
    names = [
        _matrix(s, o, index, bool(o.options.get(option, False)))
        for index, option in zip(o.inputs[:2], ("AdjX", "AdjY"), strict=True)
    ]
    if all(s.quant(i) is None for i in ends):
        s.write(o, "MatMul", names, order=AS_IS)
        return
    a, b, _ = need_codes(s, o, ends)
    if s.tool == "xnnpack":
        if b.zero_point:
            raise UnsupportedError(
                f"has a second operand with zero point {b.zero_point}, beyond XNNPACK; import it "
                "for tflite_reference"
            )
        contract = preset("xnnpack")
    else:
        with np.errstate(over="ignore", under="ignore"):
            product = np.float32(np.float32(a.scale) * np.float32(b.scale))
        if not 2.0**-126 <= product < np.inf:
            raise UnsupportedError(f"has scales {a.scale} and {b.scale} whose product is no scale")
        names[0] = reread(s, o, names[0], Quant(float(product), a.zero_point), "products")
        names[1] = reread(s, o, names[1], Quant(1.0, b.zero_point), "ones")
        contract = preset("tflite_reference")
    for place, (index, quant) in enumerate(zip(o.inputs[:2], (a, b), strict=True)):
        if s.constant(index) is not None and s.builder.values[names[place]].quant == quant:
            same = np.arange(-128, 128).astype(np.int8)  # a constant of several matrices
            own = preset("tflite_reference")
            names[place] = mapped(s, o, names[place], same, quant, f"matrices{place}", own)
    s.write(o, "MatMul", names, contract=contract)


def _matrix(s: Scope, o: TfliteOperator, index: int, turned: bool) -> str:
    """Return an operand, its last two axes exchanged where they are ``turned``."""
    rank, name = len(s.tensor(index).shape), s.read(index)
    if rank < 2:
        raise ValueError(f"takes matrices, got {rank} axes")
    if not turned:
        return name
    perm = (*range(rank - 2), rank - 1, rank - 2)
    quant = s.quant(index)
    return step(s, o, "Transpose", [name], f"turned{index}", quant=quant, attributes={"perm": perm})
