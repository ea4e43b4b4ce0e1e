"""What the shape rules share: batches, broadcasting, attributes with a type."""

from collections.abc import Mapping

from refquant.model.graph import Attribute, Shape

__all__ = [
    "Attributes",
    "axis_of",
    "fixed",
    "integer",
    "ints",
    "joined",
    "need",
    "sizes",
    "within",
]

Attributes = Mapping[str, Attribute]


def joined(op: str, a: Shape, b: Shape) -> Shape:
    """Return the shape that NumPy broadcasts ``a`` and ``b`` to.

    >>> joined("Add", ("N", 4, 1), (1, 5))
    ('N', 4, 5)
    """
    rank = max(len(a), len(b))
    wide = [(1,) * (rank - len(shape)) + tuple(shape) for shape in (a, b)]
    for p, q in zip(*wide, strict=True):
        if p != q and p != 1 and q != 1:
            raise ValueError(f"{op}: the shapes {list(a)} and {list(b)} do not broadcast: {p}, {q}")
    return tuple(q if p == 1 else p for p, q in zip(*wide, strict=True))


def sizes(shape: Shape) -> tuple[int, ...]:
    """Return the shape with 1 sample in the batch, and sequences of 1 step."""
    return tuple(1 if d in ("N", "T") else int(d) for d in shape)


def fixed(op: str, what: str, dims: Shape) -> tuple[int, ...]:
    """Return ``dims`` as integers; refuse a sum or a window along the batch."""
    within(op, what, dims)
    if "T" in dims:
        raise ValueError(f"{op}: {what} {list(dims)} needs a number, and T is one in a run only")
    return tuple(int(d) for d in dims)


def within(op: str, what: str, dims: Shape) -> Shape:
    """Return ``dims``, a sample's own, whose length may be that of a sequence."""
    if "N" in dims:
        raise ValueError(f"{op}: {what} {list(dims)} runs along the batch N, which mixes samples")
    return dims


def ints(attributes: Attributes, name: str) -> tuple[int, ...] | None:
    """Return the list attribute ``name``, None if absent."""
    value = attributes.get(name)
    return value if isinstance(value, tuple) else None


def integer(attributes: Attributes, name: str, default: int) -> int:
    """Return the integer attribute ``name``."""
    value = attributes.get(name, default)
    return value if isinstance(value, int) else default


def need(op: str, what: str, got: Shape, expected: Shape) -> None:
    """Refuse a shape that is not the ``expected`` one."""
    if got != expected:
        raise ValueError(f"{op}: {what} has shape {list(expected)}, got {list(got)}")


def axis_of(op: str, shape: Shape, axis: int) -> int:
    """Return ``axis`` counted from the front."""
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"{op}: axis is in [-{len(shape)}, {len(shape) - 1}], got {axis}")
    return axis % len(shape)
