"""What a name of an ONNX model can stand for while it is imported.

A name stands for one of these:

* `Known`: an array, known at import; it becomes a constant only where a node needs one;
* `Seen`: a value of our graph, and the dtype ONNX gives it (our graph has int32 for int64, and
  uint8 for bool);
* `Reals`: the reals that codes of our graph mean: a ``DequantizeLinear`` that has not been needed
  yet, because what reads it may compute with the codes;
* `Turned`: a value of our graph with its axes in another order. The batch stays at axis 0 of our
  values; ONNX's recurrent layers have it at axis 1, between two transpositions that cancel;
* `Filled`: one number, as often as a size says that only a run knows;
* `Spread`: a value of our graph, repeated so often.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from refquant.model.graph import Shape
from refquant.model.importers.onnx_model import OnnxNode, Tensor

__all__ = ["OURS", "Filled", "Item", "Known", "Reals", "Seen", "Spread", "Turned", "Unsupported"]

OURS: Mapping[str, str] = {"int64": "int32", "bool": "uint8"}
"""What our graph has in place of a dtype of ONNX's; of the others the same."""


class Unsupported(ValueError):  # noqa: N818  (it is a reason; the error is made of many)
    """Why a node cannot be imported."""


Known = Tensor
"""An array known at import: a constant of the file, or computed of such."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The value ``value`` of our graph, of ONNX's ``dtype``."""

    value: str
    dtype: str


@dataclass(frozen=True, slots=True)
class Reals:
    """What the codes ``value`` mean; ``maker`` is the node that dequantizes them."""

    value: str
    maker: OnnxNode


@dataclass(frozen=True, slots=True)
class Turned:
    """The value ``value`` with its axes in the order ``perm``."""

    value: str
    dtype: str
    perm: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Filled:
    """``number``, in a ``shape`` with letters."""

    number: float
    dtype: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Spread:
    """The value ``value``, repeated to a ``shape`` with letters: what broadcasts needs it not."""

    value: str
    dtype: str
    shape: Shape


Item = Known | Seen | Reals | Turned | Filled | Spread
