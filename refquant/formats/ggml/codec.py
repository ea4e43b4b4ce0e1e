r"""Every type of ggml behind two functions: values to bytes, and back.

.. math::

    \mathrm{data} = \mathrm{encode}_t(x), \quad \hat x = \mathrm{decode}_t(\mathrm{data}), \quad
    |\mathrm{data}| = \mathrm{bytes}_t(n) \text{ a row}                            \tag{1}

with the sizes of eq. (1) of ``types.py``. A type's module has its name in lower case, ``q4_k.py``,
and is loaded when first asked for (the grids of the IQ types are large); the plain types share
``plain.py``. Left out: which tensor of a model gets which type; that is a recipe, not a format.

References
----------
ggml ``src/ggml.c`` (``type_traits``, ``ggml_quantize_chunk``).
"""

from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml import plain
from refquant.formats.ggml.types import GGML_TYPES, ggml_type

__all__ = ["BLOCK_TYPES", "decode", "encode", "flavours"]

U8 = NDArray[np.uint8]

BLOCK_TYPES = tuple(name for name in GGML_TYPES if name not in plain.PLAIN_TYPES)
"""The names of the types that have blocks, in the order of their ids."""


def encode(
    x: NDArray[Any],
    *,
    type: str,
    importance: NDArray[np.float32] | None = None,
    flavour: str | None = None,
) -> U8:
    """Return ``x`` (..., n) in the ggml ``type`` (any case), uint8 (..., bytes of a row): eq. (1).

    ``x`` is float32; F64 and the integers want their own dtype. ``importance`` is float32 (n,):
    some types need it, some ignore it, as in ggml; the plain types, which choose nothing, refuse
    it. ``flavour`` is one of ``flavours(type)``, None the first of them. ``ValueError`` otherwise,
    and where the type's own encoder refuses ``x``.

    >>> x = np.array([127] + [0] * 31, np.float32)
    >>> encode(x, type="Q8_0")[:3].tolist()
    [0, 60, 127]
    >>> encode(np.array([7], np.int16), type="I16").tolist()
    [7, 0]
    """
    name = ggml_type(type).name
    known = flavours(name)
    chosen = known[0] if flavour is None else flavour
    if chosen not in known:
        raise ValueError(f"flavour must be one of {', '.join(known)} for {name}; got {flavour!r}")
    if name in plain.PLAIN_TYPES:
        if importance is not None:
            raise ValueError(f"importance must be None for {name}: nothing is searched")
        return plain.encode(x, type=name)
    module = _module(name)
    options = {"flavour": chosen} if len(known) > 1 else {}
    data: U8 = module.encode(x, importance=importance, **options)
    return data


def decode(data: U8, *, type: str) -> NDArray[Any]:
    """Return what ``data``, uint8 (..., bytes), means in the ggml ``type``, an array (..., n).

    It is float32, but for F64 and the integers, which have their own dtype: a float32 does not hold
    them. Bytes of any content decode; an infinite scale gives infinities and NaN.

    >>> decode(np.array([0, 60, 127, 129] + [0] * 30, np.uint8), type="q8_0")[:3].tolist()
    [127.0, -127.0, 0.0]
    """
    name = ggml_type(type).name
    if name in plain.PLAIN_TYPES:
        return plain.decode(data, type=name)
    values: NDArray[Any] = _module(name).decode(data)
    return values


def flavours(type: str) -> tuple[str, ...]:
    """Return the flavours of arithmetic that ``type`` is encoded with; the first is the default.

    >>> flavours("q8_0"), flavours("TQ1_0")
    (('reference', 'avx2', 'neon', 'wasm'), ('reference',))
    """
    name = ggml_type(type).name
    if name in plain.PLAIN_TYPES:
        return ("reference",)
    known: tuple[str, ...] = getattr(_module(name), "FLAVOURS", ("reference",))
    return known


def _module(name: str) -> ModuleType:
    return import_module(f"refquant.formats.ggml.{name.lower()}")
