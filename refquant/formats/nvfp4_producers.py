r"""NVFP4's producers, as data: who computes the two scales how.

NVFP4 is one layout and many arithmetics. The largest magnitude A of the tensor gives a tensor
scale g, the largest magnitude a of a block, with g, the real of its scale; that is rounded to
s, a small unsigned float; and the elements are x over both. In which order, and whether g
multiplies or divides, is a producer's choice:

.. math::

    \hat{x} = d \cdot (s \cdot g) \quad \text{multiplier}, \qquad
    \hat{x} = d \cdot (s / g) \quad \text{divisor}, \qquad
    \hat{x} = d \cdot s \quad \text{none}                                         \tag{1}

Read a file in the wrong direction and every weight is off by g^2. ``convert_tensor_scale`` turns
one into the other.

::

    producer               scale  g              real of s          element          direction
    torchao                UE4M3  A / 2688       (a / 6) / g        x * ((1/g) / s)  multiplier
    torchao_single         UE4M3  1              (a / 6) / g        x * ((1/g) / s)  none
    modelopt               UE4M3  A / 2688       a / (6 * g)        x / (s * g)      multiplier
    compressed_tensors     UE4M3  2688 * (1/A)   g * (a / 6)        x / (s / g)      divisor
    autoround              UE4M3  2688 * (1/A)   g * (a * (1/6))    x * 1/(s * 1/g)  divisor
    qwix                   UE4M3  1              a / 6              x / (s / g)      none
    autoround_ue5m3        UE5M3  1              g * (a * (1/6))    x / (s * 1/g)    none
    autoround_ue5m3_global UE5M3  688128 * (1/A) g * (a * (1/6))    x / (s * 1/g)    divisor

2688 = 448 * 6 and 688128 = 114688 * 6: the largest block gets the largest scale. Every operation
is float32. AutoRound's reciprocal of 0 is 0. What is done where s would be zero:

* torchao raises it to 2^-6, the smallest *normal* UE4M3 (ModelOpt to 2^-9, the smallest);
* ModelOpt makes it 1 if the real is 0; qwix if the real is below 2^-63;
* compressed-tensors makes it 0.125 if the *rounded* scale is 0;
* AutoRound leaves 0, and the block means zeros; so does qwix if it rounds to 0.

References
----------
torchao 0.18 ``nvfp4_tensor.py``; ModelOpt 0.47 ``qtensor/nvfp4_tensor.py``; compressed-tensors 0.20
``quantization/utils/helpers.py``; AutoRound 0.16 ``data_type/nvfp.py``; qwix ``qarray.py``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

__all__ = [
    "DECODE",
    "ELEMENT",
    "NVFP4_PRODUCERS",
    "REAL",
    "TENSOR",
    "Nvfp4Producer",
    "convert_tensor_scale",
    "nvfp4_producer",
]

Equation = Callable[..., Any]
_ONE, _SIX = np.float32(1), np.float32(6)
_SMALLEST_NORMAL = np.float32(2.0**-126)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nvfp4Producer:
    """One line of the table above.

    ``g``, ``real``, ``element`` and ``decode`` are keys of ``TENSOR``, ``REAL``, ``ELEMENT`` and
    ``DECODE``.
    ``lowest`` is where the real of s is raised to. ``if_real_below`` is (bound, s): what s is where
    its real is below the bound; ``if_zero`` is what a scale rounded to zero becomes.
    ``keeps_minus_zero`` says whether the element -0.0 is stored as -0; ``nan`` what 0/0 becomes.
    """

    scale_format: str
    direction: str
    g: str
    real: str
    element: str
    decode: str
    lowest: float = 0.0
    if_real_below: tuple[float, float] | None = None
    if_zero: float | None = None
    keeps_minus_zero: bool = False
    nan: str = "max"


_UE4M3, _UE5M3, _TINY = "ue4m3", "ue5m3", 2.0**-149
NVFP4_PRODUCERS: Mapping[str, Nvfp4Producer] = MappingProxyType(
    {
        "torchao": Nvfp4Producer(
            scale_format=_UE4M3, direction="multiplier", g="A / top", real="(a / 6) / g",
            element="x * ((1 / g) / s)", decode="s * g", lowest=2.0**-6, keeps_minus_zero=True,
        ),
        "torchao_single": Nvfp4Producer(
            scale_format=_UE4M3, direction="none", g="1", real="(a / 6) / g",
            element="x * ((1 / g) / s)", decode="s * g", lowest=2.0**-6, keeps_minus_zero=True,
        ),
        "modelopt": Nvfp4Producer(
            scale_format=_UE4M3, direction="multiplier", g="A / top", real="a / (6 * g)",
            element="x / (s * g)", decode="s * g", lowest=2.0**-9, if_real_below=(_TINY, 1.0),
        ),
        "compressed_tensors": Nvfp4Producer(
            scale_format=_UE4M3, direction="divisor", g="top * (1 / A)", real="g * (a / 6)",
            element="x / (s / g)", decode="s / g", if_zero=0.125,
        ),
        "autoround": Nvfp4Producer(
            scale_format=_UE4M3, direction="divisor", g="top * inv(A)", real="g * (a * (1 / 6))",
            element="x * inv(s * inv(g))", decode="inv(inv(s * inv(g)))",
        ),
        "qwix": Nvfp4Producer(
            scale_format=_UE4M3, direction="none", g="1", real="a / 6",
            element="x / (s / g)", decode="s / g", if_real_below=(2.0**-63, 1.0),
            keeps_minus_zero=True, nan="negative_zero",
        ),
        "autoround_ue5m3": Nvfp4Producer(
            scale_format=_UE5M3, direction="none", g="1", real="g * (a * (1 / 6))",
            element="x / (s * inv(g)) or 0", decode="s * inv(g)",
        ),
        "autoround_ue5m3_global": Nvfp4Producer(
            scale_format=_UE5M3, direction="divisor", g="top * inv(A)", real="g * (a * (1 / 6))",
            element="x / (s * inv(g)) or 0", decode="s * inv(g)",
        ),
    }
)  # fmt: skip


def _inv(x: Any) -> Any:
    """Return 1 / x, and 0 for 0: AutoRound's reciprocal."""
    zero = np.equal(x, 0)
    return np.where(zero, np.float32(0), _ONE / np.where(zero, _ONE, x))


def _top_over(a: Any, top: Any) -> Any:
    """Return top / A with the limits of compressed-tensors: an infinite quotient is 1."""
    # PyTorch computes number / tensor as number * (1 / tensor): two roundings.
    quotient = top * (_ONE / np.maximum(a, _SMALLEST_NORMAL))
    return np.where(np.isfinite(quotient), quotient, _ONE)


def _or_zero(x: Any, scale: Any) -> Any:
    zero = scale == 0
    return np.where(zero, np.float32(0), x / np.where(zero, _ONE, scale))


TENSOR: Mapping[str, Equation] = MappingProxyType(
    {
        "1": lambda a, top: _ONE,
        "A / top": lambda a, top: a / top,
        "top * (1 / A)": _top_over,
        "top * inv(A)": lambda a, top: top * _inv(a),
    }
)
REAL: Mapping[str, Equation] = MappingProxyType(
    {
        "a / 6": lambda a, g: a / _SIX,
        "(a / 6) / g": lambda a, g: (a / _SIX) / g,
        "a / (6 * g)": lambda a, g: a / (_SIX * g),
        "g * (a / 6)": lambda a, g: g * (a / _SIX),
        "g * (a * (1 / 6))": lambda a, g: g * (a * (_ONE / _SIX)),
    }
)
ELEMENT: Mapping[str, Equation] = MappingProxyType(
    {
        "x * ((1 / g) / s)": lambda x, s, g: x * ((_ONE / g) / s),
        "x / (s * g)": lambda x, s, g: x / (s * g),
        "x / (s / g)": lambda x, s, g: x / (s / g),
        "x * inv(s * inv(g))": lambda x, s, g: x * _inv(s * _inv(g)),
        "x / (s * inv(g)) or 0": lambda x, s, g: _or_zero(x, s * _inv(g)),
    }
)
DECODE: Mapping[str, Equation] = MappingProxyType(
    {
        "s * g": lambda s, g: s * g,
        "s / g": lambda s, g: s / g,
        "s * inv(g)": lambda s, g: s * _inv(g),
        "inv(inv(s * inv(g)))": lambda s, g: _inv(_inv(s * _inv(g))),
    }
)


def nvfp4_producer(name: str) -> Nvfp4Producer:
    """Return the producer of that name: a key of ``NVFP4_PRODUCERS``.

    >>> nvfp4_producer("compressed_tensors").direction
    'divisor'
    """
    if name not in NVFP4_PRODUCERS:
        raise ValueError(f"producer must be one of {', '.join(NVFP4_PRODUCERS)}; got {name!r}")
    return NVFP4_PRODUCERS[name]


def convert_tensor_scale(scale: np.float32, *, source: str, target: str) -> np.float32:
    """Return a tensor scale in the other direction: its reciprocal in float32, or itself.

    ``source`` and ``target`` are ``multiplier`` or ``divisor``. The reciprocal rounds, so there and
    back may end one unit in the last place away. A scale that is not finite and positive, or whose
    reciprocal is not, is a ``ValueError``.

    >>> g = convert_tensor_scale(np.float32(0.25), source="multiplier", target="divisor")
    >>> float(g)
    4.0
    """
    for name, value in (("source", source), ("target", target)):
        if value not in ("multiplier", "divisor"):
            raise ValueError(f"{name} must be multiplier or divisor, got {value!r}")
    given = np.float32(scale)
    with np.errstate(over="ignore", divide="ignore", under="ignore"):
        other = np.float32(1) / given
    if not (np.isfinite(given) and given > 0 and np.isfinite(other) and other > 0):
        raise ValueError(f"scale must be positive with a finite reciprocal, got {float(given)}")
    return given if source == target else np.float32(other)
