"""The sizes of a model's inputs: what the file says, what the user says, what is a batch.

1. The user's ``shapes`` win over the file's, where the file has a number too.
2. A number is a number.
3. If the first size of every input has no number, it is the batch ``"N"``.
4. One more size without a number, of one name, in inputs of two or three axes (tokens, vectors), is
   the length ``"T"`` of a sequence.
5. Anything else needs ``shapes``: the height of an image is no sequence.

An input of codes means what the first node that reads them says: there is no other place for it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import DTYPES, Quant, Shape
from refquant.model.importers.onnx_codes import meaning
from refquant.model.importers.onnx_items import Known, Unsupported
from refquant.model.importers.onnx_model import OnnxInput
from refquant.model.importers.onnx_scope import Scope
from refquant.model.importers.onnx_wire import OnnxFormatError

__all__ = ["fixed_inputs", "input_meaning", "input_shapes"]

_INTEGERS = (f"{unsigned}int{bits}" for unsigned in ("", "u") for bits in (8, 16, 32, 64))
_NUMBERS = frozenset({"float32", "float64", "bool", *_INTEGERS})
_NARROW = {
    **{"int4": "int8", "uint4": "uint8", "int2": "int8", "uint2": "uint8"},
    "bfloat16": "float32",
}
"""Types that NumPy has not, and what holds them here, an element in one."""
_MOST_FILLED = 1 << 22


def fixed_inputs(
    inputs: Sequence[OnnxInput], fixed: Mapping[str, NDArray[Any]]
) -> dict[str, Known]:
    """Return the inputs that become constants, each of the dtype and sizes that it has.

    One number fills an input whose sizes are numbers; as many numbers as it has elements are
    taken in its shape.

    >>> rate = OnnxInput("sr", "int64", (1,))
    >>> fixed_inputs([rate], {"sr": np.array(16000)})["sr"].array.tolist()
    [16000]
    >>> fixed_inputs([rate], {"sr": np.array(0.5)})
    Traceback (most recent call last):
    ...
    ValueError: fixed['sr'] is int64, which does not hold 0.5; give numbers of that type
    """
    dims = {i.name: (i.dtype, i.dims) for i in inputs}
    result = {}
    for name, given in fixed.items():
        dtype, sizes = dims[name]
        array = np.asarray(given)
        if array.dtype.name in _NARROW:  # of ml_dtypes
            array = array.astype(_NARROW[array.dtype.name])
        if dtype not in (*_NUMBERS, *_NARROW):
            raise OnnxFormatError(f"input {name!r} is {dtype}, which no constant here can be")
        if array.dtype.kind not in "biuf":
            raise OnnxFormatError(f"fixed[{name!r}] is {dtype}, got {array.dtype}; give numbers")
        with np.errstate(all="ignore"):
            made = array.astype(_NARROW.get(dtype, dtype))
            lost = made.astype(array.dtype) != array
        if dtype in DTYPES and DTYPES[dtype].bits < 8:
            lost |= (array < DTYPES[dtype].qmin) | (array > DTYPES[dtype].qmax)
        real = array.dtype.kind == "f" and made.dtype.kind == "f"  # as near as its type comes
        if not real and lost.any():
            raise ValueError(
                f"fixed[{name!r}] is {dtype}, which does not hold {array[lost].ravel()[0]}; "
                "give numbers of that type"
            )
        result[name] = Known(_in_shape(name, made, sizes), dtype)
    return result


def _in_shape(
    name: str, array: NDArray[Any], sizes: tuple[int | str | None, ...] | None
) -> NDArray[Any]:
    if sizes is None:
        return array
    fits = len(sizes) == array.ndim and all(
        not isinstance(d, int) or d == n for d, n in zip(sizes, array.shape, strict=True)
    )
    if fits:
        return array
    known = [d for d in sizes if isinstance(d, int)]
    if len(known) == len(sizes) and array.size in (1, math.prod(known)):
        if array.size > 1:
            return array.reshape(known)
        if math.prod(known) <= _MOST_FILLED:
            return np.full(known, array.ravel()[0])
    told = [d if isinstance(d, int) else "?" for d in sizes]
    raise ValueError(
        f"fixed[{name!r}] has the sizes {told}, got {list(array.shape)}; give it all its numbers"
    )


def input_shapes(
    inputs: Sequence[OnnxInput], shapes: Mapping[str, Sequence[int | str]]
) -> dict[str, tuple[Shape, str]]:
    """Return (shape, dtype) of each input.

    >>> ids = OnnxInput("ids", "int64", ("batch", "sequence"))
    >>> input_shapes([ids], {})
    {'ids': (('N', 'T'), 'int64')}
    >>> input_shapes([ids], {"ids": [1, 7]})
    {'ids': ((1, 7), 'int64')}
    """
    dims = {i.name: _dims(i, shapes) for i in inputs}
    batched = all(d and not isinstance(d[0], int) and d[0] != "T" for d in dims.values())
    names = {
        d for sizes in dims.values() for d in sizes[1 if batched else 0 :] if not isinstance(d, int)
    }
    lengths = names - {"T"}
    small = all(len(sizes) in (2, 3) for sizes in dims.values())
    sequence = batched and small and len(lengths) == 1 and None not in lengths and "T" not in names
    result = {}
    for i in inputs:
        sizes = dims[i.name]
        shape = tuple(
            "N" if batched and axis == 0 else "T" if d == "T" or sequence else None
            if not isinstance(d, int) else d
            for axis, d in enumerate(sizes)
        )  # fmt: skip
        shape = tuple(d if isinstance(d, int) else s for d, s in zip(sizes, shape, strict=True))
        if None in shape or "N" in shape[1:] or "T" in shape[:1]:
            told = ", ".join(f"{n!r}: {[d if d is not None else '?' for d in s]}"
                             for n, s in dims.items())  # fmt: skip
            example = [d if isinstance(d, int) else 1 for d in sizes]
            raise OnnxFormatError(
                f"input {i.name!r} has sizes without a number ({told}); give them, for example "
                f"--shape {i.name}={','.join(map(str, example))}, in Python "
                f"shapes={{{i.name!r}: {example}}}"
            )
        result[i.name] = (tuple(d for d in shape if d is not None), i.dtype)
    return result


def _dims(i: OnnxInput, shapes: Mapping[str, Sequence[int | str]]) -> tuple[int | str | None, ...]:
    if i.name not in shapes:
        if i.dims is None:
            raise OnnxFormatError(
                f"input {i.name!r} has no sizes; give them, as in --shape {i.name}=N,3,224,224, "
                f"in Python shapes={{{i.name!r}: ['N', 3, 224, 224]}}"
            )
        return i.dims
    given = tuple(shapes[i.name])
    good = all((type(d) is int and d > 0) or d in ("N", "T") for d in given)
    if not good or (i.dims is not None and len(given) != len(i.dims)):
        count = "as many as the input has axes" if i.dims is None else f"{len(i.dims)} sizes"
        raise ValueError(
            f"shapes[{i.name!r}] is {count}, numbers > 0, 'N' first or 'T', got {list(given)}"
        )
    return given


# Where a node that reads codes has their scale and zero point: input -> (scale, zero point).
_PARAMETERS: Mapping[str, Mapping[int, tuple[int, int]]] = {
    "DequantizeLinear": {0: (1, 2)},
    "QLinearConv": {0: (1, 2)},
    "QLinearMatMul": {0: (1, 2), 3: (4, 5)},
    "QGemm": {0: (1, 2)},
    "QLinearAdd": {0: (1, 2), 3: (4, 5)},
    "QLinearMul": {0: (1, 2), 3: (4, 5)},
    "QLinearAveragePool": {0: (1, 2)},
    "QLinearGlobalAveragePool": {0: (1, 2)},
    "QLinearSigmoid": {0: (1, 2)},
    "QLinearLeakyRelu": {0: (1, 2)},
    "QLinearSoftmax": {0: (1, 2)},
    "QLinearConcat": {place: (place + 1, place + 2) for place in range(2, 98, 3)},
}
_MOVED = ("Reshape", "Transpose", "Flatten", "MaxPool", "Squeeze", "Unsqueeze", "Identity", "Slice")


def input_meaning(s: Scope, name: str) -> Quant | None:
    """Return what the codes of the input ``name`` mean; None if nobody dequantizes them."""
    for node in s.readers.get(name, []):
        place = node.inputs.index(name) if name in node.inputs else -1
        if place in _PARAMETERS.get(node.op, {}):
            found = [
                s.items.get(node.inputs[i]) if i < len(node.inputs) else None
                for i in _PARAMETERS[node.op][place]
            ]
            arrays = [item.array if isinstance(item, Known) else None for item in found]
            if arrays[0] is not None:
                try:
                    return meaning(arrays[0], arrays[1])
                except Unsupported:
                    return None  # the node that reads it says what is wrong
        if node.op in _MOVED and place == 0:
            return input_meaning(s, node.outputs[0])
    return None
