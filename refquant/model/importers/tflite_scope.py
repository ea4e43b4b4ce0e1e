"""The graph in the making: what each tensor of a TFLite file has become, and in which order.

TFLite keeps images as N H W C, a `Graph` as N C H W. A tensor of four axes may be in either order
here, ``AS_IS`` or ``FIRST``, and is turned when somebody asks for the other one, once::

    x (N H W C) --Transpose--> Conv --> Conv --> Add --> GlobalPool --Reshape--> (N C) --> Gemm
     the user's order           each finds its input in the order it wants

Turning moves nothing where there is one channel, or one pixel: then it is a ``Reshape``. Inputs and
outputs of the graph keep the order of the file.

A model whose inputs have a first dimension of 1 becomes a function of one sample (``"N"``).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.model.build import Builder
from refquant.model.graph import Attribute, Quant, Shape
from refquant.model.importers.tflite_model import (
    TfliteModel,
    TfliteOperator,
    TfliteTensor,
    UnsupportedError,
)
from refquant.model.loaders.tensors import ModelFileError

__all__ = ["AS_IS", "FIRST", "Scope", "check_scales"]

Array = NDArray[Any]
AS_IS, FIRST = "as it is", "channels first"
_TURNS: Mapping[str, tuple[int, ...]] = {FIRST: (0, 3, 1, 2), AS_IS: (0, 2, 3, 1)}
_SPARE = 1 << 20
_SMALLEST = np.float32(2.0**-126)


def check_scales(tensor: TfliteTensor) -> None:
    """Refuse scales that are not positive, finite and normal.

    >>> none = np.zeros(1, np.float32)
    >>> check_scales(TfliteTensor(0, "x", "int8", (), (), None, none, np.zeros(1, np.int64), 0, ""))
    Traceback (most recent call last):
    ...
    ValueError: has 'x' with the scale 0.0, which is not positive, finite and normal
    """
    bad = ~(np.isfinite(tensor.scale) & (tensor.scale >= _SMALLEST))
    if bad.any():
        raise ValueError(
            f"has {tensor.name!r} with the scale {float(tensor.scale[bad][0])}, which is not "
            "positive, finite and normal"
        )


@dataclass(slots=True)
class Scope:
    """Everything the functions that lower an operator need; ``tool`` is whose arithmetic it is.

    ``folded`` holds tensors that turned out to be constants. Of variables, by name: what they are
    at ``first``, the tensor that brought what they were, the one that they are ``now``. ``tables``
    of 65536 codes are held once, whoever reads them.
    """

    model: TfliteModel
    tool: str
    batched: bool
    builder: Builder
    names: dict[tuple[int, str], str] = field(default_factory=dict)
    folded: dict[int, Array] = field(default_factory=dict)
    spent: int = 0
    first: dict[str, TfliteTensor] = field(default_factory=dict)
    brought: dict[str, int] = field(default_factory=dict)
    now: dict[str, int] = field(default_factory=dict)
    handles: dict[int, str] | None = None
    assigned: set[str] = field(default_factory=set)
    tables: dict[tuple[str, bytes, Quant | None], str] = field(default_factory=dict)

    def tensor(self, index: int) -> TfliteTensor:
        """Return the tensor of that number."""
        if index < 0:
            raise UnsupportedError("lacks an input that this importer needs")
        return self.model.tensors[index]

    def constant(self, index: int) -> Array | None:
        """Return the constant that a tensor is, None if it is computed."""
        tensor = self.tensor(index)
        return self.folded.get(index, None if tensor.special else tensor.data)

    def numbers(self, index: int) -> tuple[int, ...]:
        """Return a constant vector of a few integers: axes, a shape, paddings row by row."""
        array = self.constant(index)
        if array is None or array.dtype.kind not in "iu" or array.size > 64:
            raise UnsupportedError(
                f"takes {self.tensor(index).name!r} as constant integers, which it is not"
            )
        return tuple(int(v) for v in array.reshape(-1))

    def quant(self, index: int) -> Quant | None:
        """Return what the codes of an activation mean, None for reals."""
        tensor = self.tensor(index)
        if tensor.special:
            raise UnsupportedError(f"uses {tensor.name!r}, which is {tensor.special}")
        if not tensor.quantized:
            if tensor.dtype != "float32":
                raise UnsupportedError(f"computes with {tensor.name!r}, plain {tensor.dtype}")
            return None
        if tensor.dtype not in ("int8", "int16"):
            raise UnsupportedError(
                f"has the quantized tensor {tensor.name!r} of {tensor.dtype}, not int8 or int16"
            )
        if tensor.scale.size != 1:
            raise UnsupportedError(f"has the activation {tensor.name!r} quantized per axis")
        if tensor.dtype == "int16" and tensor.zero_point.any():
            raise UnsupportedError(f"has {tensor.name!r} of int16 with a zero point that is not 0")
        check_scales(tensor)
        return Quant(float(tensor.scale[0]), int(tensor.zero_point[0]))

    def wide(self, operator: TfliteOperator) -> bool:
        """Say whether an operator takes or gives codes of 16 bits."""
        ends = (self.tensor(i) for i in (*operator.inputs, *operator.outputs) if i >= 0)
        return any(tensor.quantized and tensor.dtype == "int16" for tensor in ends)

    def shape(self, index: int) -> Shape:
        """Return the shape that the file gives a computed tensor, with the batch."""
        shape = self.tensor(index).shape
        return ("N", *shape[1:]) if self.batched and shape[:1] == (1,) else shape

    def at(self, index: int) -> str:
        """Return the order a tensor is there in."""
        return FIRST if (index, FIRST) in self.names and (index, AS_IS) not in self.names else AS_IS

    def read(self, index: int, order: str = AS_IS) -> str:
        """Return the name of a tensor's value in that order, turning it if need be."""
        key = (index, order)
        if key not in self.names:
            constant = self.constant(index)
            if constant is not None:
                self.names[key] = self._hold(index, constant, order)
            else:
                self.names[key] = self._turn(index, order)
        return self.names[key]

    def _hold(self, index: int, constant: Array, order: str) -> str:
        quant = self.quant(index)
        if order == FIRST:  # aligned at the last axis, as broadcasting does
            constant = constant.reshape((1,) * (4 - constant.ndim) + constant.shape)
            constant = constant.transpose(_TURNS[FIRST])
        name = self.free(self.tensor(index).name)
        return self.hold(name, constant, dtype=self.tensor(index).dtype, quant=quant)

    def hold(
        self, name: str, array: Array, *, dtype: str | None = None, quant: Quant | None = None
    ) -> str:
        """Add a constant, counted: many tensors may share one buffer of the file."""
        self.spent += array.nbytes
        if self.spent > 4 * self.model.size + _SPARE:
            raise ModelFileError(
                f"{self.model.path}: its tensors share so many bytes that they are 4 times the "
                "file; the file is damaged"
            )
        return self.builder.constant(name, np.ascontiguousarray(array), dtype=dtype, quant=quant)

    def _turn(self, index: int, order: str) -> str:
        other = AS_IS if order == FIRST else FIRST
        source = self.names[index, other]
        shape = self.builder.values[source].shape
        if len(shape) != 4:
            raise ValueError(f"takes (N, H, W, C), got {list(shape)}")
        turned = tuple(shape[axis] for axis in _TURNS[order])
        name = self.free(self.tensor(index).name if order == AS_IS else self._inner(index))
        moved = [axis for axis in _TURNS[order] if shape[axis] != 1]
        if moved == sorted(moved):
            return self.builder.node(
                "Reshape", [source], name=name, attributes={"shape": (0, *map(int, turned[1:]))}
            )
        return self.builder.node(
            "Transpose", [source], name=name, attributes={"perm": _TURNS[order]}
        )

    def write(
        self,
        operator: TfliteOperator,
        op: str,
        inputs: Sequence[str],
        *,
        order: str = AS_IS,
        attributes: Mapping[str, Attribute] | None = None,
        contract: Contract | None = None,
        last: bool = True,
        output: int = 0,
    ) -> str:
        """Add a node that makes an output; ``last``: nothing is done to it after."""
        index = operator.outputs[output]
        quant = self.quant(index)
        ends = index in self.model.outputs and order == AS_IS
        own = self.tensor(index).name if ends or order == AS_IS else self._inner(index)
        name = self.free(own if last else f"{own}/{op.lower()}")
        made = self.builder.node(
            op,
            inputs,
            name=name,
            attributes=dict(attributes or {}),
            contract=contract,
            dtype=None if quant is None else self.tensor(index).dtype,
            quant=quant,
        )
        if last:
            self.names[index, order] = made
            self.check_made(index, made, order)
        return made

    def _inner(self, index: int) -> str:
        """Return the name of a tensor in our order: its own, where nobody else needs that."""
        name = self.tensor(index).name
        outside = index in self.model.outputs or index in self.model.inputs
        return f"{name}/channels_first" if outside else name

    def check_made(self, index: int, name: str, order: str) -> None:
        """Refuse an output whose declared shape is another: the file contradicts itself."""
        made, declared = self.builder.values[name].shape, self.shape(index)
        if order == FIRST and len(declared) == 4:
            declared = tuple(declared[axis] for axis in _TURNS[FIRST])
        if made != declared:
            raise ValueError(f"makes {list(made)}, the file says {list(declared)}")

    def free(self, name: str) -> str:
        """Return ``name``, or one like it that no value has yet."""
        name = name or "tensor"
        found, count = name, 1
        while found in self.builder.values:
            count += 1
            found = f"{name}#{count}"
        return found

    def elements(self, index: int) -> int:
        """Return how many elements a tensor has, of one sample."""
        return math.prod(self.tensor(index).shape)
