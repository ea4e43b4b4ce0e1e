"""Golden codes and parameters of this family; see test_presets.py for what all have in common."""

from refquant.contracts.presets_runtimes import RUNTIMES


def test_the_family() -> None:
    names = [entry.contract.name for entry in RUNTIMES]
    assert names == ["onnx", "ort", "torch"], "in this order"
