"""The presets: contracts named after who computes so, each with its source.

A preset is what an implementation *does*, established from its code or by running it, and not what
it says. Where the two differ, or where a family has several kernels, ``PRESET_SOURCES`` says which
path this is, by which text, what was run, and what the contract cannot say of it.

The contracts stand in one file a family: ``presets_runtimes`` and ``presets_tflite`` (every axis
spelled out), ``presets_hybrid``, ``presets_kernels``, ``presets_toolkits``, ``presets_weights``.
"""

from collections.abc import Mapping
from types import MappingProxyType

from refquant.contracts.contract import Contract
from refquant.contracts.presets_hybrid import HYBRID
from refquant.contracts.presets_kernels import KERNELS
from refquant.contracts.presets_runtimes import RUNTIMES
from refquant.contracts.presets_tflite import TFLITE
from refquant.contracts.presets_toolkits import TOOLKITS
from refquant.contracts.presets_weights import WEIGHTS
from refquant.contracts.provenance import Provenance

__all__ = ["PRESETS", "PRESET_SOURCES", "preset"]

PRESET_SOURCES: Mapping[str, Provenance] = MappingProxyType(
    {
        entry.contract.name: entry
        for entry in (*RUNTIMES, *TFLITE, *HYBRID, *KERNELS, *TOOLKITS, *WEIGHTS)
    }
)
"""Where each preset comes from, by name."""

PRESETS: Mapping[str, Contract] = MappingProxyType(
    {name: entry.contract for name, entry in PRESET_SOURCES.items()}
)
"""Every preset by name."""


def preset(name: str) -> Contract:
    """Return the preset of that name; ``ValueError`` lists the names there are.

    >>> preset("ort").scale_op, preset("torch").scale_op
    ('divide_f32', 'reciprocal_f32')
    """
    if name not in PRESETS:
        raise ValueError(f"unknown contract {name!r}; the presets are {', '.join(PRESETS)}")
    return PRESETS[name]
