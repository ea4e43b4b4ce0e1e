r"""DequantizeLinear: which real a code means, by one axis.

.. math::

    y = \mathrm{f32}(\mathrm{f32}(q - z) \cdot s)                                  \tag{1}

For codes to 16 bits the product is the only rounding of (1), which is then the real that the code
means. Others multiply first, or wider:

.. math::

    y = \mathrm{f32}(\mathrm{f32}(\mathrm{f32}(q)\,s) - \mathrm{f32}(z\,s)), \qquad
    y = \mathrm{f32}(\mathrm{f32}(q)\,s - \mathrm{f32}(z\,s)), \qquad
    y = \mathrm{f32}(\mathrm{f64}((q - z)\,s))                                     \tag{2}

``multiply_first``, ``fused`` and ``float64``. Only int32 tells the last from (1): a code beyond
2^24 is no float32.

References
----------
ONNX, DequantizeLinear-21; ``docs/spec/operators.md`` section 2.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from types import MappingProxyType

import numpy as np

from refquant.formats.affine import dequantize
from refquant.numerics.fused import fused_multiply_add
from refquant_conformance import oracle
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Equal, Outputs
from refquant_conformance.arithmetic.quantize import element, ruler
from refquant_conformance.arithmetic.quantize_parameters import parameters_of_each, spread
from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.protocol import Array, Case
from refquant_conformance.rational import add, float32, multiply
from refquant_conformance.types import INTEGERS, code_range, storage

__all__ = ["DEQUANTIZE", "all_codes", "dequantizer_case"]

_WAYS = ("subtract_first", "multiply_first", "fused", "float64")
_SCALES = tuple(float(np.float32(s)) for s in (0.1, 1 / 3, 1 / 255, 0.0375, 2.0**-14 / 3))
_SCHEMES = tuple(
    scheme
    for scheme, types in OPERATORS["dequantize_linear"].schemes.items()
    if types["y"] == "float32" and types["x"] in INTEGERS
)


def dequantizer_case(
    scheme: str, codes: Array, scale: Array | float, zero_point: Array | int, **params: int | None
) -> Case:
    """Return the case of a dequantizer: everything in the types of the scheme.

    >>> dequantizer_case("u8_f32", np.arange(3), 0.5, 1).inputs["x"].dtype.name
    'uint8'
    """
    types = types_of("dequantize_linear", scheme)
    inputs = {
        "x": codes.astype(storage(types["x"])),
        "scale": np.asarray(scale, storage(types["scale"])),
        "zero_point": np.asarray(zero_point, storage(types["zero_point"])),
    }
    shape = {"axis": None, "block_size": 0, **params}
    return Case("dequantize_linear", scheme, inputs, shape, types=types)


def all_codes(scheme: str) -> Array:
    """Return every code of a type of up to 16 bits; of int32 those around powers of two.

    >>> all_codes("i4_f32").tolist()
    [-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7]
    """
    qmin, qmax = code_range(types_of("dequantize_linear", scheme)["x"])
    if qmax < 2**16:
        return np.arange(qmin, qmax + 1)
    powers = 2 ** np.arange(0, 31, dtype=np.int64)
    near = np.concatenate([k * powers + d for k in (1, -1) for d in range(-70, 71)])
    thirds = np.arange(-(2**31), 2**31, 2**31 // 999)
    return np.unique(np.clip(np.concatenate([near, thirds, [qmin, qmax]]), qmin, qmax))


def _compute(case: Case, axes: Axes) -> Outputs | None:
    q, qparams = case.inputs["x"], ruler(case, case.types["x"])
    if qparams is None:
        return None
    if axes["dequantize"] == "subtract_first":
        return {"y": dequantize(q, qparams)}
    scale, zero_point = (np.broadcast_to(part, q.shape) for part in spread(case))
    real, shift = q.astype(np.float32), zero_point.astype(np.float32)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if axes["dequantize"] == "multiply_first":
            return {"y": real * scale - shift * scale}
        if axes["dequantize"] == "fused":
            return {"y": fused_multiply_add(real, scale, -(shift * scale))}
        wide = (q.astype(np.int64) - zero_point).astype(np.float64)
        return {"y": (wide * scale.astype(np.float64)).astype(np.float32)}


def _exact(case: Case, axes: Axes, output: str, index: int) -> float | None:
    scale, z = parameters_of_each(case, index)
    q = int(case.inputs["x"].reshape(-1)[index])
    if not 2.0**-126 <= scale < np.inf:
        return None
    if axes["dequantize"] == "subtract_first":
        return oracle.dequantize_exact(q, scale=scale, zero_point=z)
    if axes["dequantize"] == "float64":
        wide = multiply(float(q - z), scale, bits=64)
        return float32(Fraction(wide))
    shift = multiply(float(z), scale)
    if axes["dequantize"] == "fused":
        return float32(Fraction(float32(q)) * Fraction(scale) - Fraction(shift))
    return add(multiply(float32(q), scale), -shift)


def _probes(scheme: str) -> Sequence[Case]:
    codes = all_codes(scheme)
    if codes.size > 2**12:  # as telling, and a twentieth of the time
        codes = codes[:: codes.size // 2**12]
    qmin, qmax = code_range(types_of("dequantize_linear", scheme)["x"])
    points = (0,) if scheme.startswith("i32") else (min(1, qmax), qmin, qmax, (qmin + qmax) // 2, 0)
    found = []
    for scale in _SCALES:
        for z in points:
            scales, both = np.array([scale, 1.0], np.float32), np.array([z, qmax if z else 0])
            if scheme.endswith("_channel"):
                x = np.stack([codes, codes])
                found.append(dequantizer_case(scheme, x, scales, both, axis=0))
            elif scheme.endswith("_block"):
                x, size = np.concatenate([codes, codes])[None, :], codes.size
                found.append(
                    dequantizer_case(scheme, x, scales[None], both[None], axis=1, block_size=size)
                )
            else:
                found.append(dequantizer_case(scheme, codes, scale, z))
    return found


def _pairs(values: tuple[str, ...], reason: str, *starts: str) -> tuple[Equal, ...]:
    schemes = tuple(scheme for scheme in _SCHEMES if scheme.startswith(starts))
    return tuple(Equal("dequantize", (a, b), reason, schemes) for a, b in combinations(values, 2))


DEQUANTIZE = Arithmetic(
    op="dequantize_linear",
    schemes=_SCHEMES,
    axes=MappingProxyType({"dequantize": _WAYS}),
    spec=MappingProxyType({"dequantize": "subtract_first"}),
    clause="ONNX DequantizeLinear-21: y = (x - x_zero_point) * x_scale",
    compute=_compute,
    exact=_exact,
    probes=_probes,
    element=element,
    equal=(
        Equal(
            "dequantize",
            ("subtract_first", "float64"),
            "the product of a code of 17 bits and a float32 is a float64",
            tuple(scheme for scheme in _SCHEMES if not scheme.startswith(("i32", "i2_"))),
        ),
        *_pairs(_WAYS[:3], "the zero point of int32 is 0", "i32"),
        *_pairs(_WAYS, "codes of -2 to 1 times a float32 are float32", "i2_"),
    ),
)
