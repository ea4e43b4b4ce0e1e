r"""What a backend is to the judge: a few methods, and cases that are nothing but data.

A *backend* is anything that computes quantized operators: an engine, a library, a program on a
device. The judge sends it a :class:`Case` and gets a :class:`Result`; both hold names, numbers and
arrays, never a function, so that a case can cross a process boundary, a pipe or a report::

    judge                                     backend
      | -- Case(op, scheme, inputs, params) --> |
      | <------- Result(outputs) -------------- |      or Unsupported, or Rejected

Arrays hold *codes* wherever a type has codes: int4 is one code an element in an int8 array, an FP8
number is its byte. What type the bytes mean stands in ``case.types``. Nothing is packed unless the
operator is about packing.

A class with ``info``, ``capabilities`` and ``run`` is a backend. The other methods of
:class:`Backend` are optional; a class that lacks one is not asked for what it gives.

References
----------
``docs/how-to/certify-your-backend.md`` (a backend in ten minutes).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "PROTOCOL",
    "Array",
    "Backend",
    "Capability",
    "Case",
    "Info",
    "Param",
    "Rejected",
    "Result",
    "Unsupported",
]

PROTOCOL = 1
"""The version of this protocol. A backend says which one it speaks in its ``protocol``."""

Array = NDArray[Any]
Param = str | int | float | bool | None | tuple[int, ...]

LAYOUTS = ("contiguous", "strided", "reversed", "offset")
ENVIRONMENTS = ("default", "flush_to_zero", "round_up", "round_down", "round_toward_zero")


class Unsupported(Exception):  # noqa: N818  the issue and every adapter say Unsupported
    """The backend does not compute this. The reason is required, and is never a pass.

    >>> Unsupported("no zero point a channel")
    Unsupported('no zero point a channel')
    """

    def __init__(self, reason: str) -> None:
        if not isinstance(reason, str) or not reason.strip():
            raise ValueError("Unsupported needs a reason: a sentence saying what is not supported")
        super().__init__(reason)


class Rejected(Exception):  # noqa: N818  an answer like Unsupported, not a fault
    """The backend computes the operator, and refuses these inputs as bad: NaN, a scale of 0."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question: an operator, a scheme (which types), the inputs, the parameters.

    ``types`` gives the logical type of every input and output by name. ``layout`` says how the
    arrays lie in memory when the backend sees them, ``environment`` what floating-point mode the
    caller has set; both are the worker's business, a backend need not look at them. ``params`` may
    hold more than the operator has: ``constant_weights`` says whether weights stand in the model or
    are fed, where that is a difference. Leave alone what you do not know.

    >>> case = Case("quantize_linear", "f32_u8", {"x": np.float32([0.5])}, {"axis": None},
    ...             types={"x": "float32", "y": "uint8"})
    >>> case.inputs["x"].tolist(), case.types["y"]
    ([0.5], 'uint8')
    """

    op: str
    scheme: str
    inputs: Mapping[str, Array]
    params: Mapping[str, Param] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    layout: str = "contiguous"
    environment: str = "default"

    def __post_init__(self) -> None:
        """Refuse a layout or an environment that no worker knows."""
        for name, value, known in (
            ("layout", self.layout, LAYOUTS),
            ("environment", self.environment, ENVIRONMENTS),
        ):
            if value not in known:
                raise ValueError(f"a case's {name} must be one of {', '.join(known)}; got {value}")


@dataclass(frozen=True, slots=True)
class Result:
    """One answer: the outputs by name, and which kernel computed them, if the backend knows."""

    outputs: Mapping[str, Array]
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Info:
    """Who answers: name, version, what may be set, and anything else worth a line in a report.

    ``knobs`` maps the name of a setting to the values it takes here, the default first:
    ``{"threads": (1, 2), "graph_optimization": ("all", "none")}``.
    """

    name: str
    version: str
    knobs: Mapping[str, tuple[str | int, ...]] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class Capability:
    """One thing the backend computes: an operator of the catalogue in one of its schemes."""

    op: str
    scheme: str


@runtime_checkable
class Backend(Protocol):
    """What the judge calls. Only these three are required; ``OPTIONAL`` lists the others.

    ``declared(op)`` returns the contract that the vendor claims, as axes by name, or None;
    ``configure(**knobs)`` is called once, before anything else, with one value a knob;
    ``prepare(case)`` returns an object with ``run(case)`` that may keep packed weights;
    ``reload(case)`` the same of a model that was written to bytes and read again;
    ``load_bytes(format, data)`` loads a model file and forgets it, raising ``Rejected`` if bad;
    ``repro(case)`` returns a Python program that asks the same question without this package;
    ``announce(cases)`` says which cases ``run`` is asked next, for who can compile them together.
    """

    def info(self) -> Info:
        """Say who this is."""

    def capabilities(self) -> Iterable[Capability]:
        """List what it computes."""

    def run(self, case: Case) -> Result:
        """Compute, or raise ``Unsupported`` or ``Rejected``."""


OPTIONAL = ("declared", "configure", "prepare", "reload", "load_bytes", "repro", "announce")


def with_layout(array: Array, layout: str) -> Array:
    """Return an equal array that lies in memory as ``layout`` says.

    >>> with_layout(np.arange(3), "reversed").strides
    (-8,)
    """
    if layout == "contiguous" or array.ndim == 0:
        return np.array(array, order="C")  # ascontiguousarray would give a scalar an axis
    if layout == "strided":  # every second element of a larger array
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1] + 1), array.dtype)
        wide[..., 1::2] = array
        return wide[..., 1::2]
    if layout == "reversed":
        return np.array(array[..., ::-1], order="C")[..., ::-1]  # of one element too, a copy
    flat = np.zeros(array.size + 3, array.dtype)  # starts where no vector is aligned
    flat[3:] = array.reshape(-1)
    return flat[3:].reshape(array.shape)
