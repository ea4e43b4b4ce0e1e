"""The catalogue: every operator that the judge can ask for, and its schemes.

A *scheme* says which types an operator works on and how fine its scales are; operator and scheme
together are a *cell* of the report. Names of schemes are the short types of the inputs and outputs
that vary, then the granularity if it is not one scale a tensor::

    quantize_linear        f32_u8   f32_i4_channel   f16_i8   f32_e4m3fn ...
    qlinear_matmul         u8_i8    i8_i8_channel    ...

Backends list the cells they compute; a cell that is not in this catalogue is refused, so that a
typing error is not taken for a gap.

Left out: what an operator computes. That is the contract's, in ``arithmetic/``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from refquant_conformance.operators_floats import FLOAT_OPERATORS
from refquant_conformance.operators_formats import FORMATS
from refquant_conformance.operators_methods import METHODS
from refquant_conformance.operators_movement import MOVEMENT
from refquant_conformance.operators_tables import TABLES

__all__ = ["OPERATORS", "Operator", "types_of"]


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: a sentence, its inputs (``?``: may be absent), parameters, and schemes.

    ``schemes`` maps the name of a scheme to the logical type of each input and output.
    """

    name: str
    sentence: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: Mapping[str, str]
    schemes: Mapping[str, Mapping[str, str]]


def _read() -> Mapping[str, Operator]:
    found: dict[str, Operator] = {}
    for table in (*TABLES, *MOVEMENT, *FLOAT_OPERATORS, *FORMATS, *METHODS):
        schemes = {name: MappingProxyType(dict(types)) for name, types in table.schemes.items()}
        found[table.name] = Operator(
            table.name,
            table.sentence,
            tuple(name.removesuffix("?") for name in table.inputs),
            table.outputs,
            MappingProxyType(dict(table.params)),
            MappingProxyType(schemes),
        )
    return MappingProxyType(found)


OPERATORS = _read()
"""Every operator by name."""


def types_of(op: str, scheme: str) -> dict[str, str]:
    """Return the logical type of each input and output of a cell.

    ``ValueError`` names what is unknown, and what is known instead.

    >>> types_of("quantize_linear", "f32_u8")["y"]
    'uint8'
    """
    if op not in OPERATORS:
        raise ValueError(f"unknown operator {op!r}; the catalogue has {', '.join(OPERATORS)}")
    schemes = OPERATORS[op].schemes
    if scheme not in schemes:
        raise ValueError(f"{op} has no scheme {scheme!r}; it has {', '.join(schemes)}")
    return dict(schemes[scheme])
