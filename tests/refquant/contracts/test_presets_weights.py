"""Golden codes and parameters of this family; see test_presets.py for what all have in common."""

from refquant.contracts.presets_weights import WEIGHTS


def test_the_family() -> None:
    names = [entry.contract.name for entry in WEIGHTS]
    assert names == ["gptq", "awq", "hqq", "mlx", "ggml"], "in this order"
