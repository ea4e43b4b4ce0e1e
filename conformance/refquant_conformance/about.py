"""What a backend says of itself, looked at once: a wrong word here would spoil every line later.

A name, a version, knobs with their values, and cells that the catalogue has. Whoever lists a cell
twice means it once; whoever lists one that does not exist has made a typing error, which must not
pass for a gap.
"""

from collections.abc import Iterable, Mapping

from refquant_conformance.operators import types_of
from refquant_conformance.protocol import Capability, Info

__all__ = ["described"]


def described(info: object, cells: Iterable[object]) -> tuple[Info, tuple[Capability, ...]]:
    """Return both, cells once each; ``ValueError`` says what is not as the protocol has it.

    >>> cell = Capability("quantize_linear", "f32_u8")
    >>> described(Info("mine", "1"), [cell, cell])[1]
    (Capability(op='quantize_linear', scheme='f32_u8'),)
    >>> described(Info("", "1"), [cell])
    Traceback (most recent call last):
    ...
    ValueError: info: name must be a string, not empty; got ''
    """
    if not isinstance(info, Info):
        raise ValueError(f"info must return an Info, got a {type(info).__name__}")
    for what, text in (("name", info.name), ("version", info.version)):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"info: {what} must be a string, not empty; got {text!r}")
    _texts(info.details)
    if not isinstance(info.knobs, Mapping):
        raise ValueError(f"info: knobs must be values by name, got {info.knobs!r}")
    for name, values in info.knobs.items():
        _knob(name, values)
    found: dict[Capability, None] = {}
    for cell in cells:
        if not isinstance(cell, Capability):
            raise ValueError(f"capabilities must be of type Capability, got {cell!r}")
        try:
            types_of(cell.op, cell.scheme)
        except (TypeError, ValueError) as error:
            raise ValueError(f"capabilities: {error}") from None
        found[cell] = None
    return info, tuple(found)


def _texts(details: object) -> None:
    texts = isinstance(details, Mapping) and all(
        isinstance(part, str) for item in details.items() for part in item
    )
    if not texts:
        raise ValueError(f"info: details must be strings by name, got {details!r}")


def _knob(name: object, values: object) -> None:
    if not isinstance(name, str) or not isinstance(values, (tuple, list)) or not values:
        raise ValueError(f"info: knob {name!r} must have a tuple of values, got {values!r}")
    for value in values:
        if type(value) not in (str, int):
            raise ValueError(f"info: values of knob {name!r} are strings or int, got {value!r}")
