"""What a run is about: the cells of a backend that filters leave, and what speaks of them.

A filter that leaves nothing is an error: a run that asked nothing proved nothing, and must not be
green. So is one of several that adds nothing: it may be a name that was mistaken for another.
"""

from collections.abc import Sequence

from refquant.cli.common import UsageError
from refquant_conformance.adapters import BackendError
from refquant_conformance.properties import PROPERTIES, for_op
from refquant_conformance.protocol import Capability
from refquant_conformance.subject import Subject

__all__ = ["chosen"]


def chosen(
    subject: Subject,
    *,
    ops: Sequence[str] = (),
    schemes: Sequence[str] = (),
    properties: Sequence[str] = (),
) -> tuple[Capability, ...]:
    """Return the cells of ``subject`` that the filters leave; empty filters leave all.

    ``UsageError`` for a filter that leaves nothing: it names what there is. ``BackendError`` for a
    backend that computes nothing.

    >>> from refquant_conformance.adapters import load_backend
    >>> from refquant_conformance.subject import Local
    >>> onnx = Local(load_backend("reference:onnx"))
    >>> [cell.scheme for cell in chosen(onnx, ops=["dynamic_quantize_linear"])]
    ['f32_u8', 'f32_i8']
    """
    name, cells = subject.info.name, subject.capabilities
    if not cells:
        raise BackendError(f"{name} lists no cell: there is nothing to ask")
    for op in ops:
        if all(cell.op != op for cell in cells):
            known = dict.fromkeys(cell.op for cell in cells)
            raise UsageError(f"--op: {name} computes no {op}; it computes {', '.join(known)}")
    cells = tuple(cell for cell in cells if not ops or cell.op in ops)
    for scheme in schemes:
        if all(cell.scheme != scheme for cell in cells):
            known = dict.fromkeys(cell.scheme for cell in cells)
            what = f"{' and '.join(ops)} in no scheme" if ops else "nothing in scheme"
            told = f"{name} computes {what} {scheme}; there are {', '.join(known)}"
            raise UsageError(f"--scheme: {told}")
    cells = tuple(cell for cell in cells if not schemes or cell.scheme in schemes)
    asked = dict.fromkeys(cell.op for cell in cells)
    for one in properties:
        if not any(one == known.id for op in asked for known in for_op(op)):
            speaks = ", ".join(PROPERTIES[one].ops)
            told = f"{one} says nothing of {', '.join(asked)}; it is about {speaks}"
            raise UsageError(f"--property: {told}")
    return cells
