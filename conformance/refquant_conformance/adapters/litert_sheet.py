"""A model of LiteRT in the making, and what LiteRT says in its own way: clamps and padding.

Activations are a Relu of some kind (``activation_of``). Padding is "same", which is as much as
makes the output as large as the input over the strides, half before and the rest behind, or
"valid", which is none; other padding becomes a PAD before the operator (``padded``)::

    same     total = max((ceil(n / s) - 1) s + d (k - 1) + 1 - n, 0), total // 2 before

References
----------
LiteRT, ``tflite/kernels/padding.h``, ``tflite/kernels/kernel_util.cc``
(``CalculateActivationRangeQuantized``).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refquant_conformance.adapters.litert_models import Model, Operator, Tensor
from refquant_conformance.protocol import Case, Unsupported
from refquant_conformance.types import code_range

__all__ = ["Sheet", "activation_of", "padded", "pair_of"]

_SAME, _VALID = 0, 1
_ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}


@dataclass(slots=True)
class Sheet:
    """A model in the making: tensors so far, and how arrays of the case are turned."""

    case: Case
    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    orders: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def add(self, tensor: Tensor) -> int:
        """Add a tensor; return its number."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def flowing(self, name: str, *, order: tuple[int, ...] | None = None) -> int:
        """Add an input of the case that flows."""
        tensor = self._of_case(name, order, 0)
        index = self.add(tensor)
        self.inputs.append(index)
        if order is not None:
            self.orders[name] = order
        return index

    def weights(self, name: str, *, order: tuple[int, ...], axis: int) -> int:
        """Add weights: constants, unless the case says otherwise."""
        if not self.case.params.get("constant_weights", True):
            index = self.flowing(name, order=order)
            self.tensors[index] = self._of_case(name, order, axis)
            return index
        turned = np.ascontiguousarray(self.case.inputs[name].transpose(order))
        t = self._of_case(name, order, axis)
        return self.add(Tensor(name, t.shape, t.logical, turned, t.scale, t.zero_point, axis))

    def bias(self, x: str, w: str, *, count: int = 0) -> int:
        """Add the bias; its scale is the product of the others.

        If the case has none: zeros as converters do where ``count`` says how many, else -1.
        """
        if "bias" not in self.case.inputs and not count:
            return -1
        scale = self.case.inputs[f"{x}_scale"] * self.case.inputs[f"{w}_scale"]
        array = self.case.inputs.get("bias", np.zeros(count, np.int32))
        zero = np.zeros(scale.shape, np.int64)
        return self.add(Tensor("bias", array.shape, "int32", array, scale, zero))

    def result(self, shape: tuple[int, ...], *, order: tuple[int, ...] | None = None) -> int:
        """Add ``y``, of a shape in LiteRT's order."""
        scale, zero = (self.case.inputs.get(f"y_{n}") for n in ("scale", "zero_point"))
        if order is not None:
            self.orders["y"] = order
        return self.add(Tensor("y", shape, self.case.types["y"], None, scale, zero))

    def op(
        self, code: str, inputs: tuple[int, ...], output: int, table: str = "", **options: Any
    ) -> None:
        """Add an operator with one output."""
        self.operators.append(Operator(code, inputs, (output,), table, options))

    def model(self, output: int) -> Model:
        """Return the model whose answer is the tensor ``output``."""
        return Model(
            tuple(self.tensors), tuple(self.operators), tuple(self.inputs), output, self.orders
        )

    def _of_case(self, name: str, order: tuple[int, ...] | None, axis: int) -> Tensor:
        array = self.case.inputs[name]
        shape = array.shape if order is None else tuple(array.shape[i] for i in order)
        scale, zero = (self.case.inputs.get(f"{name}_{n}") for n in ("scale", "zero_point"))
        if scale is not None and zero is None:
            zero = np.zeros(scale.shape, np.int64)
        return Tensor(name, shape, self.case.types[name], None, scale, zero, axis)


def activation_of(case: Case) -> int:
    """Return LiteRT's number of the activation that clamps as the case says."""
    qmin, qmax = code_range(case.types["y"])
    low, high = case.params.get("clamp_min"), case.params.get("clamp_max")
    asked = (qmin if low is None else low, qmax if high is None else high)
    scale, zero = float(case.inputs["y_scale"]), int(case.inputs["y_zero_point"])

    def code(real: float) -> int:
        return int(np.clip(zero + np.rint(real / scale), qmin, qmax))

    ends = {
        "none": (qmin, qmax),
        "relu": (code(0), qmax),
        "relu6": (code(0), code(6)),
        "relu_n1_to_1": (code(-1), code(1)),
    }
    for name, codes in ends.items():
        if codes == asked:
            return _ACTIVATIONS[name]
    raise Unsupported(f"LiteRT clamps as Relu, Relu6 or Relu1 do, not to {asked}")


def pair_of(case: Case, name: str, otherwise: tuple[int, int]) -> tuple[int, int]:
    """Return a parameter that is a pair."""
    rows, columns = case.params.get(name) or otherwise  # type: ignore[misc, str-unpack]  # a pair
    return int(rows), int(columns)


def padded(
    sheet: Sheet, x: int, kernel: tuple[int, int], strides: tuple[int, int],
    dilations: tuple[int, int], *, may_pad: bool,
) -> tuple[int, int, tuple[int, int]]:  # fmt: skip
    """Return the tensor to go on with, "same" or "valid", and the rows and columns of the output.

    What neither says becomes a PAD with the zero point, if that ``may_pad``.
    """
    pads = tuple(int(p) for p in sheet.case.params.get("pads") or (0, 0, 0, 0))  # type: ignore[union-attr]  # four numbers
    size = sheet.tensors[x].shape[1:3]
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    out = [
        (n + pads[i] + pads[i + 2] - r) // s + 1
        for i, (n, r, s) in enumerate(zip(size, reach, strides, strict=True))
    ]
    if not any(pads):
        return x, _VALID, (out[0], out[1])
    same = [-(-n // s) for n, s in zip(size, strides, strict=True)]
    total = [
        max((o - 1) * s + r - n, 0) for o, s, r, n in zip(same, strides, reach, size, strict=True)
    ]
    if pads == (total[0] // 2, total[1] // 2, -(-total[0] // 2), -(-total[1] // 2)) and out == same:
        return x, _SAME, (out[0], out[1])
    if not may_pad:
        raise Unsupported(f"LiteRT pads a pool as SAME or VALID do, not by {pads}")
    t = sheet.tensors[x]
    by = np.array([[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]], np.int32)
    held = sheet.add(Tensor("pads", (4, 2), "int32", by))
    shape = tuple(int(n) for n in np.array(t.shape) + by.sum(1))
    padded = sheet.add(Tensor("padded", shape, t.logical, None, t.scale, t.zero_point))
    sheet.op("PAD", (x, held), padded, "PadOptions")
    return padded, _VALID, (out[0], out[1])
