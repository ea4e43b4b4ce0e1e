"""Golden codes and parameters of this family; see test_presets.py for what all have in common."""

from refquant.contracts.presets_kernels import KERNELS


def test_the_family() -> None:
    names = [entry.contract.name for entry in KERNELS]
    assert names == [
        "gemmlowp_neon",
        "tosa",
        "cmsis_nn",
        "fbgemm",
        "stablehlo",
        "ncnn",
        "tensorrt",
    ], "in this order"
