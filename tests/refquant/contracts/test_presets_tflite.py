"""Golden codes and parameters of this family; see test_presets.py for what all have in common."""

from refquant.contracts.presets_tflite import TFLITE


def test_the_family() -> None:
    names = [entry.contract.name for entry in TFLITE]
    assert names == ["xnnpack", "tflite_reference", "tflite_builtin"], "in this order"
