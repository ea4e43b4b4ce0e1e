"""Which arithmetic? The axes, the contract, and the presets as data."""

from refquant.contracts.contract import AXES, Contract
from refquant.contracts.presets import PRESET_SOURCES, PRESETS, preset
from refquant.contracts.provenance import Provenance, Source

__all__ = ["AXES", "PRESETS", "PRESET_SOURCES", "Contract", "Provenance", "Source", "preset"]
