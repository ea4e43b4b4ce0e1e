"""Decoding: which float32 a code of a small float means, by one axis.

Every value is a float32, so there is nothing to round. But an engine that flushes subnormal numbers
reads the smallest codes as zeros: ``subnormals`` = ``flushed``. E8M0's code 0, 2^-127, is a
subnormal float32, and flushed as well.

References
----------
OCP 8-bit Floating Point Specification 1.0; OCP Microscaling Formats 1.0, section 5.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.numerics.minifloat import decode
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.arithmetic.cast_probes import FORMAT_OF
from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.oracle_casts import FORMS, decode_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import storage

__all__ = ["DECODE", "codes_of", "decode_case"]


def decode_case(scheme: str, codes: Array) -> Case:
    """Return the case of codes, in the type of the scheme.

    >>> decode_case("e5m2_f32", np.arange(3)).inputs["x"].dtype.name
    'uint8'
    """
    types = types_of("decode", scheme)
    return Case("decode", scheme, {"x": codes.astype(storage(types["x"]))}, {}, types=types)


def codes_of(scheme: str) -> Array:
    """Return every code of a scheme."""
    return np.arange(1 << FORMAT_OF[types_of("decode", scheme)["x"]].num_bits)


def _least(name: str) -> float:
    """Return the smallest number that is normal, in the format and in float32."""
    return max(FORMAT_OF[name].min_normal, 2.0**-126)


def _compute(case: Case, axes: Axes) -> Outputs | None:
    name = case.types["x"]
    y = decode(case.inputs["x"], FORMAT_OF[name])
    if axes["subnormals"] == "flushed":
        y = np.where(np.abs(y) < np.float32(_least(name)), np.copysign(np.float32(0), y), y)
    return {"y": y}


def _exact(case: Case, axes: Axes, output: str, index: int) -> float:
    name = case.types["x"]
    y = decode_exact(int(case.inputs["x"].reshape(-1)[index]), name)
    form = FORMS[name]
    least = 2.0 ** max(1 - form.bias if form.has_zero else -form.bias, -126)
    return y * 0.0 if axes["subnormals"] == "flushed" and abs(y) < least else y


def _probes(scheme: str) -> Sequence[Case]:
    return [decode_case(scheme, codes_of(scheme))]


def _element(case: Case, index: int) -> Case:
    return replace(case, inputs={"x": case.inputs["x"].reshape(-1)[index : index + 1]})


DECODE = Arithmetic(
    op="decode",
    schemes=tuple(OPERATORS["decode"].schemes),
    axes=MappingProxyType({"subnormals": ("kept", "flushed")}),
    spec=MappingProxyType({"subnormals": "kept"}),
    clause="OCP OFP8 1.0, section 4; OCP MX 1.0, section 5: the value of each code",
    compute=_compute,
    exact=_exact,
    probes=_probes,
    element=_element,
)
