"""``QuantizeLinear`` and ``DequantizeLinear``: pairs around an operator become one on codes.

::

    codes -> DequantizeLinear -> Conv -> (Relu) -> QuantizeLinear -> codes
    codes ------------------->   Conv on codes    ----------------> codes

A ``DequantizeLinear`` adds no node: its output is `Reals`. An operator that finds only `Reals` and
is read by one ``QuantizeLinear`` alone computes with the codes, by the contract ``ort``. What
cannot, stays as it is, and ``Scope.unfused`` says why: the first reader that needs the reals, its
operator, and the reason.

A ``Relu`` in between is the clamp ``clamp_min`` = zero point; a ``Clip`` clamps to the codes of its
bounds, when these are exactly codes.

References: onnxruntime, ``docs/execution-providers`` (QDQ format); ONNX.
"""

from collections.abc import Callable, Mapping

import numpy as np

from refquant.formats import affine
from refquant.model.graph import DTYPES, Attribute, Quant
from refquant.model.importers.onnx_codes import (
    check_reading,
    coded_constant,
    meaning,
    qparams,
    requantized,
)
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_on_codes import CLAMPED, FUSED, Target
from refquant.model.importers.onnx_scope import Known, Reals, Scope, Seen, Unsupported
from refquant.model.importers.onnx_tensor import dtype_of

__all__ = ["QDQ", "fuse", "widened"]

Lower = Callable[[Scope, OnnxNode], None]


def _dequantize(s: Scope, node: OnnxNode) -> None:
    scale, zero = s.known(node, 1, "x_scale"), s.known(node, 2, "x_zero_point")
    if scale is None:
        raise Unsupported("x_scale is absent")
    item = s.item(node.inputs[0])
    if isinstance(item, Known):
        check_reading(s, node, node.inputs[0], 2, None)
        name = coded_constant(
            s, node.inputs[0], item.array, item.dtype, scale, zero,
            axis=int(node.attributes.get("axis", 1)),
            block_size=int(node.attributes.get("block_size", 0)),
        )  # fmt: skip
        s.items[node.outputs[0]] = Reals(name, node)
        return
    codes = s.value(node, 0)
    check_reading(s, node, node.inputs[0], 2, meaning(scale, zero))
    s.items[node.outputs[0]] = Reals(codes, node)


def target_of(s: Scope, node: OnnxNode) -> tuple[str, Quant]:
    """Return (dtype, meaning) of what a ``QuantizeLinear`` gives."""
    scale, zero = s.known(node, 1, "y_scale"), s.known(node, 2, "y_zero_point")
    if scale is None:
        raise Unsupported("y_scale is absent")
    dtype = "uint8" if zero is None else zero.dtype.name
    if node.attributes.get("output_dtype"):
        dtype = dtype_of(node.attributes["output_dtype"])
    item = s.item(node.inputs[2]) if s.has(node, 2) else None
    if isinstance(item, Known):
        dtype = item.dtype
    return dtype, meaning(scale, zero)


def _quantize(s: Scope, node: OnnxNode) -> None:
    item, output = s.item(node.inputs[0]), node.outputs[0]
    if isinstance(item, Known):
        _quantize_known(s, node, item)
        return
    dtype, quant = target_of(s, node)
    if dtype not in DTYPES or DTYPES[dtype].bits not in (8, 16):
        raise Unsupported(f"codes of {dtype}")
    if isinstance(item, Reals) and _same_or_8(s, item, dtype, quant):
        made = requantized(s, item.value, output, dtype, quant)
    else:
        x = s.real(node, 0)
        made = s.node("QuantizeLinear", [x], output, contract=s.contract, dtype=dtype, quant=quant)
        if x not in s.b.inputs:
            maker = next(n.op for n in s.b.nodes if x in n.outputs)
            _listed(s, node, f"its input is the float32 output of {maker} {x!r}")
    s.items[output] = Seen(made, dtype)


def _same_or_8(s: Scope, item: Reals, dtype: str, quant: Quant) -> bool:
    value = s.b.values[item.value]
    bits = DTYPES[value.dtype].bits, DTYPES[dtype].bits
    return (value.dtype, value.quant) == (dtype, quant) or bits == (8, 8)


def _quantize_known(s: Scope, node: OnnxNode, item: Known) -> None:
    """Quantize a constant at import: per tensor, or along an axis."""
    scale, zero = s.known(node, 1, "y_scale"), s.known(node, 2, "y_zero_point")
    if scale is None or item.dtype != "float32" or node.attributes.get("block_size", 0):
        raise Unsupported("a float32 constant is quantized per tensor or per axis")
    dtype = "uint8" if zero is None else zero.dtype.name
    zeros = np.zeros(scale.shape, np.int32) if zero is None else zero.astype(np.int32)
    axis = int(node.attributes.get("axis", 1))
    assert s.contract is not None, "the importer has a contract"
    parts = np.moveaxis(item.array, axis, 0) if scale.size > 1 else item.array[None]
    codes = [
        affine.quantize(part, qparams(dtype, Quant(float(sc), int(z))), contract=s.contract)
        for part, sc, z in zip(parts, scale.ravel(), zeros.ravel(), strict=True)
    ]
    whole = np.moveaxis(np.stack(codes), 0, axis) if scale.size > 1 else codes[0]
    s.items[node.outputs[0]] = Known(whole, dtype)


def _listed(s: Scope, node: OnnxNode, reason: str) -> None:
    s.unfused.append({"node": node.label, "op": node.op, "reason": reason})


def widened(s: Scope, node: OnnxNode) -> bool:
    """Take Cast and Mul of constant codes as what they are, a weight of codes: Mul(Cast(q), s).

    f32(f32(q) * s) is what both mean. Only where nothing else reads the Cast.
    """
    item = s.items[node.inputs[0]] if node.op == "Cast" else None
    readers = s.readers.get(node.outputs[0], [])
    if not isinstance(item, Known) or item.dtype not in ("int8", "uint8"):
        return False
    if len(readers) != 1 or readers[0].op != "Mul" or dtype_of(node.attributes["to"]) != "float32":
        return False
    other = [name for name in readers[0].inputs if name != node.outputs[0]]
    scale = s.items.get(other[0]) if other else None
    if not isinstance(scale, Known) or scale.dtype != "float32" or not scale.array.size:
        return False
    shape = (1,) * (item.array.ndim - scale.array.ndim) + scale.array.shape
    axes = [axis for axis, size in enumerate(shape) if size != 1]
    fits = len(shape) == item.array.ndim and all(shape[a] == item.array.shape[a] for a in axes)
    if len(axes) > 1 or not fits or not (scale.array >= np.float32(2.0**-126)).all():
        return False
    axis = axes[0] if axes else 0
    name = coded_constant(
        s, node.inputs[0], item.array, item.dtype, scale.array.ravel(), None, axis=axis
    )
    s.items[node.outputs[0]] = item  # read by nobody
    s.items[readers[0].outputs[0]] = Reals(name, node)
    return True


def fuse(s: Scope, node: OnnxNode) -> bool:
    """Compute ``node`` on codes if it can be; else leave the reason in ``s.why``, and say no."""
    s.why = ""
    if node.domain or node.op not in FUSED:
        s.why = f"{node.op} has no form on codes"
        return False
    if not any(isinstance(s.items[name], Reals) for name in node.inputs if name):
        return False
    try:
        target, taken = _target(s, node)
        FUSED[node.op](s, node, target)
    except Unsupported as error:
        s.why = str(error)
        return False
    s.items[target.output] = Seen(target.output, target.dtype)
    for name in taken:  # nobody else reads them
        s.items[name] = s.items[target.output]
    return True


def _target(s: Scope, node: OnnxNode) -> tuple[Target, list[str]]:
    """Return what the one ``QuantizeLinear`` asks for that reads the node, and names between."""
    q, between = _reader(s, node.outputs[0]), [node.outputs[0]]
    clip: OnnxNode | None = None
    if q.op in ("Relu", "Clip") and node.op in CLAMPED:
        clip, q = q, _reader(s, q.outputs[0])
        between.append(clip.outputs[0])
    if q.op != "QuantizeLinear" or q.inputs[0] not in between:
        raise Unsupported(f"{q.op} {q.label!r} reads its reals")
    dtype, quant = target_of(s, q)
    if dtype not in DTYPES or DTYPES[dtype].bits not in (8, 16):
        raise Unsupported(f"codes of {dtype}")
    clamp = {} if clip is None else _clamp(s, clip, dtype, quant)
    return Target(q.outputs[0], dtype, quant, clamp), between


def _reader(s: Scope, name: str) -> OnnxNode:
    readers = s.readers.get(name, [])
    if name in s.outputs or len(readers) != 1:
        raise Unsupported(f"its reals are read {len(readers) + (name in s.outputs)} times")
    return readers[0]


def _clamp(s: Scope, clip: OnnxNode, dtype: str, quant: Quant) -> dict[str, Attribute]:
    assert isinstance(quant.scale, float), "meaning: one number"
    assert isinstance(quant.zero_point, int), "meaning: one number"
    limits = DTYPES[dtype]
    if clip.op == "Relu":
        bounds: dict[str, float | None] = {"clamp_min": 0.0, "clamp_max": None}
    else:
        bounds = {}
        for key, index, old in (("clamp_min", 1, "min"), ("clamp_max", 2, "max")):
            known = s.known(clip, index, old)
            number = clip.attributes.get(old) if known is None else float(known.ravel()[0])
            bounds[key] = None if number is None else float(number)
    result: dict[str, Attribute] = {}
    for key, bound in bounds.items():
        if bound is None:
            continue
        code = bound / quant.scale + quant.zero_point
        if code <= limits.qmin if key == "clamp_min" else code >= limits.qmax:
            continue  # the ruler ends before
        if code != int(code) or not limits.qmin <= code <= limits.qmax:
            raise Unsupported(f"the bound {bound} of {clip.op} is no code of the result")
        result[key] = int(code)
    return result


QDQ: Mapping[str, Lower] = {"QuantizeLinear": _quantize, "DequantizeLinear": _dequantize}
