"""Golden codes and parameters of this family; see test_presets.py for what all have in common."""

from refquant.contracts.presets_toolkits import TOOLKITS


def test_the_family() -> None:
    names = [entry.contract.name for entry in TOOLKITS]
    assert names == [
        "torchao",
        "compressed_tensors",
        "modelopt",
        "aimet",
        "qonnx",
        "quanto",
        "qwix",
        "bitsandbytes",
    ], "in this order"
