"""What GPTQ rounds to: integers by any contract, levels by any table, a class of your own."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.gptq import GptqSettings, gptq
from refquant.algorithms.gptq_target import AffineTarget, LevelTarget
from refquant.algorithms.hessian import Hessian
from refquant.algorithms.rtn import min_max, rtn
from refquant.contracts import preset
from refquant.formats.affine import QParams

F32 = NDArray[np.float32]

E2M1 = np.array([-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)


def power_of_two(scale: F32) -> F32:
    """The power of two at or above: MXFP4's scale when nothing may overflow."""
    mantissa, exponent = np.frexp(scale)
    return np.asarray(np.ldexp(np.float32(1), exponent - (mantissa == 0.5)), np.float32)


def correlated(seed: int, k: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((300, k // 4)) @ rng.standard_normal((k // 4, k))
    x = x + 0.3 * rng.standard_normal((300, k))
    return Hessian(k).update(x.astype(np.float32)).matrix()


def test_affine_columns_are_those_of_rtn() -> None:
    w = np.random.default_rng(1).standard_normal((6, 9)).astype(np.float32)
    for contract, dtype, symmetric in (
        ("gptq", "uint4", False), ("gptq", "uint3", True), ("onnx", "int8", True),
        ("awq", "uint4", False), ("tflite_reference", "int4", True),
    ):  # fmt: skip
        target = AffineTarget(
            dtype=dtype, symmetric=symmetric, contract=preset(contract), clip=min_max
        )
        plain = rtn(w, group_size=None, dtype=dtype, symmetric=symmetric,
                    contract=preset(contract), clip=min_max)  # fmt: skip
        ruler = target.ruler(w)
        for j in range(9):
            codes, values = target.quantize_column(w[:, j], ruler)
            assert np.array_equal(codes, plain.codes[:, j]), f"{contract}: codes of column {j}"
            assert np.array_equal(values, plain.dequantize()[:, j]), f"{contract}: column {j}"


def test_levels_are_the_nearest_and_ties_go_down() -> None:
    target = LevelTarget(levels=E2M1, round_scale=np.abs)
    ties = (E2M1[1:] + E2M1[:-1]) / 2
    x = np.concatenate([E2M1, ties, np.nextafter(ties, np.float32(np.inf)), [9, -9, 0]])
    x = x.astype(np.float32)
    codes, values = target.quantize_column(x, np.ones(x.shape, np.float32))
    for v, code in zip(x.tolist(), codes.tolist(), strict=True):
        far = [abs(Fraction(v) - Fraction(level)) for level in E2M1.tolist()]
        assert code == far.index(min(far)), f"{v}: level {E2M1[code]}"
    assert np.array_equal(values, E2M1[codes]), "scale 1"


def test_scales_fit_the_largest_and_zeros_have_one() -> None:
    target = LevelTarget(levels=E2M1, round_scale=power_of_two)
    w = np.array([[12.0, -1], [0, 0], [-13, 2], [1e-40, 0]], np.float32)
    scale = target.ruler(w)
    assert scale[:3].tolist() == [2.0, 1.0, 4.0], "12/6, none, 13/6 up"
    assert 0 < scale[3] <= 2 * 1e-40 / 6, "a subnormal one"
    codes, values = target.quantize_column(np.array([1e38, 1, 1, 1], np.float32), scale)
    assert codes[3] == 14, "a quotient beyond float32 is the last level, not the first"
    assert values[0] == 12.0, "so is one beyond the range"


@pytest.mark.parametrize("round_scale", [np.abs, power_of_two])
def test_witness_gptq_helps_any_marks(round_scale: object) -> None:
    w = np.random.default_rng(2).standard_normal((16, 64)).astype(np.float32)
    h = correlated(3, 64)
    target = LevelTarget(levels=E2M1, round_scale=round_scale)  # type: ignore[arg-type]  # a ufunc
    got = gptq(w, h, target=target, settings=GptqSettings(group_size=32, groups="static"))
    plain = gptq(w, np.eye(64), target=target,
                 settings=GptqSettings(group_size=32, groups="static"))  # fmt: skip
    losses = [float(np.sum(((w - v) @ h) * (w - v))) for v in (plain.values, got.values)]
    assert losses[1] < losses[0] / 2, f"nearest, GPTQ: {losses}"
    for g in range(2):
        scaled = got.values[:, 32 * g : 32 * g + 32] / got.rulers[g][:, None]
        assert np.isin(scaled.astype(np.float32), E2M1).all(), "every value is a mark"


def test_a_target_of_your_own_needs_two_methods() -> None:
    class Signs:
        """One bit: the mean magnitude of the group, with a sign."""

        def ruler(self, weights: F32) -> F32:
            return np.asarray(np.abs(weights).mean(axis=1), np.float32)

        def quantize_column(self, column: F32, ruler: F32) -> tuple[NDArray[np.uint8], F32]:
            codes = (column >= 0).astype(np.uint8)
            return codes, np.where(codes == 1, ruler, -ruler).astype(np.float32)

    w = np.random.default_rng(4).standard_normal((8, 32)).astype(np.float32)
    h = correlated(5, 32)
    got = gptq(w, h, target=Signs(), settings=GptqSettings(groups="static"))
    plain = gptq(w, np.eye(32), target=Signs(), settings=GptqSettings(groups="static"))
    losses = [float(np.sum(((w - v) @ h) * (w - v))) for v in (plain.values, got.values)]
    assert losses[1] < losses[0], f"even one bit gains: {losses}"


def test_rulers_are_parameters_of_the_contract() -> None:
    target = AffineTarget(dtype="uint4", symmetric=False, contract=preset("gptq"), clip=min_max)
    ruler = target.ruler(np.array([[-1.0, 2.0], [0.0, 0.0]], np.float32))
    same = QParams(np.array([0.2, 2 / 15], np.float32), np.array([5, 7], np.int32), (1,), "uint4")
    assert ruler == same, "zeros get the range -1..1 (7.4999995 marks below 0)"


def test_tables_and_scales_that_make_no_sense_are_refused() -> None:
    for levels in (E2M1[:1], E2M1[::-1], E2M1.astype(np.float64), E2M1 * np.float32(np.nan)):
        with pytest.raises(ValueError, match="levels must be ascending"):
            LevelTarget(levels=levels, round_scale=np.abs)  # type: ignore[arg-type]  # on purpose
    target = LevelTarget(levels=E2M1, round_scale=np.zeros_like)
    with pytest.raises(ValueError, match="round_scale must return positive"):
        target.ruler(np.ones((1, 2), np.float32))
