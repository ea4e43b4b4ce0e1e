"""Which arithmetic? The axes, the contract, and the presets as data."""

from refquant.contracts.contract import AXES, Contract
from refquant.contracts.presets import PRESETS, preset

__all__ = ["AXES", "PRESETS", "Contract", "preset"]
