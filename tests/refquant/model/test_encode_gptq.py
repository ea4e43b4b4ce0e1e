"""GPTQ to tables: the formats' own scales and ties, less error of outputs, and marks alone."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.gptq import GptqSettings, gptq
from refquant.algorithms.gptq_target import LevelTarget
from refquant.algorithms.hessian import Hessian
from refquant.formats.nf4 import NF4
from refquant.model.coded import coded_reals
from refquant.model.encode_gptq import gptq_table
from refquant.model.encode_tables import (
    encode_rows,
    encode_weight,
    nearest_codes,
    tensor_scale_of,
)
from refquant.model.graph import Node
from refquant.model.recipe_rules import Weights
from refquant.model.table_formats import TABLE_FORMATS, scale_values
from refquant.model.weight_matrix import Layout, layout, matrix_of

F32 = NDArray[np.float32]
FORMATS = tuple(TABLE_FORMATS)
PRODUCT = Node("y", "MatMul", ("x", "w"), ("y",))
CONV = Node("c", "Conv", ("x", "w"), ("y",))


def case(seed: int, shape: tuple[int, ...], node: Node) -> tuple[F32, Any]:
    """A weight with a few outliers, and the Hessian of inputs that move together."""
    rng = np.random.default_rng(seed)
    w = np.asarray(rng.standard_t(4, shape) / 8, np.float32)
    k = matrix_of(node, w).shape[1]
    x = (rng.standard_normal((4 * k, k)) @ (rng.standard_normal((k, k)) + 2)).astype(np.float32)
    return w, Hessian(k).update(x).matrix()


def settings(cut: Layout, **changed: Any) -> GptqSettings:
    return GptqSettings(group_size=cut.group_size, groups="static", **changed)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("node", "shape"), [(PRODUCT, (64, 6)), (CONV, (6, 8, 3, 3)), (CONV, (5, 64, 1, 1))]
)
def test_inputs_that_know_nothing_of_each_other_give_the_codes_of_rounding(
    format: str, node: Node, shape: tuple[int, ...]
) -> None:
    """The law: a diagonal Hessian, whatever it weighs, leaves each weight its nearest mark."""
    w, _ = case(1, shape, node)
    cut = layout(node, shape, Weights(format=format, algorithm="gptq"))
    k = matrix_of(node, w).shape[1]
    h = np.diag(np.linspace(1, 9, k))
    for how in (settings(cut), settings(cut, act_order=True, block_size=5)):
        coded, _ = gptq_table(node, w, h, format=format, cut=cut, settings=how)
        plain = encode_weight(w, format=format, block_shape=cut.block_shape)
        assert coded.codes.tobytes() == plain.codes.tobytes(), "other codes"
        assert coded.scale.tobytes() == plain.scale.tobytes(), "other scales"
        assert coded.tensor_scale == plain.tensor_scale, "another scale of the tensor"
        assert coded.dtype == plain.dtype, f"{coded.dtype}"


@pytest.mark.parametrize("format", FORMATS)
def test_outputs_lose_less_than_by_rounding(format: str) -> None:
    """The witness, by the outputs themselves."""
    w, h = case(2, (64, 12), PRODUCT)
    cut = layout(PRODUCT, w.shape, Weights(format=format, algorithm="gptq"))
    coded, damp = gptq_table(PRODUCT, w, h, format=format, cut=cut, settings=settings(cut))
    plain = encode_weight(w, format=format, block_shape=cut.block_shape)
    lost = [((coded_reals(c) - w).T @ h @ (coded_reals(c) - w)).trace() for c in (plain, coded)]
    assert lost[1] < 0.5 * lost[0], f"{format}: {lost}"
    assert damp == 0.01, "no more damping was needed"
    assert coded.scale.tobytes() == plain.scale.tobytes(), "the scales are the format's own"


@pytest.mark.parametrize("format", FORMATS)
def test_nearest_codes_are_the_codes_that_the_format_makes(format: str) -> None:
    """Blocks full of ties: middles of marks, ends, zeros, and numbers beyond."""
    size = TABLE_FORMATS[format].block_size or 40
    rng = np.random.default_rng(3)
    rows = (rng.integers(-48, 49, (500, size)) / 8).astype(np.float32)
    rows[0], rows[1, 1:] = 0, 0
    g = tensor_scale_of(rows, format=format)
    codes, stored = encode_rows(rows, format=format, tensor_scale=g)
    scales = np.repeat(scale_values(format, stored, g)[:, None], size, axis=1)
    assert np.array_equal(nearest_codes(rows, scales, format=format), codes), "another tie"
    far = nearest_codes(rows + np.float32(1e30), scales, format=format)
    top = nearest_codes(scales * np.float32(1e6), scales, format=format)
    assert np.array_equal(far[2:], top[2:]), "beyond the last mark is the last mark"


def test_nf4_by_level_target_is_the_same() -> None:
    """A second opinion: the table by itself, whose lower of two equal levels is NF4's rule."""
    w, h = case(4, (64, 10), PRODUCT)
    cut = Layout(32, (32, 1))
    got, _ = gptq_table(PRODUCT, w, h, format="nf4", cut=cut, settings=settings(cut))
    target = LevelTarget(levels=NF4, round_scale=lambda s: s)
    other = gptq(matrix_of(PRODUCT, w), h, target=target, settings=settings(cut))
    assert np.array_equal(matrix_of(PRODUCT, got.codes), other.codes), "other codes"


def test_dead_inputs_and_blocks_of_zeros() -> None:
    w, h = case(5, (32, 4), PRODUCT)
    h[3, :] = h[:, 3] = 0
    w[16:] = 0
    cut = Layout(16, (16, 1))
    how = settings(cut)
    for format in ("nvfp4", "nf4"):
        coded, _ = gptq_table(PRODUCT, w, h, format=format, cut=cut, settings=how)
        means = coded_reals(coded)
        assert (means[3] == 0).all(), f"{format}: an input that never was has weight 0"
        assert np.isfinite(means).all(), f"{format}: {means}"
        # NF4's scale of zeros is 0; NVFP4's is ModelOpt's 1 times g, and 6 the last mark.
        most = 0 if format == "nf4" else np.float32(6) * coded.tensor_scale
        assert np.abs(means[16:]).max() <= most, f"{format}: {means[16:]}"


def test_weights_that_are_not_finite_are_named() -> None:
    w, h = case(6, (32, 2), PRODUCT)
    w[1, 1] = np.nan
    cut = Layout(32, (32, 1))
    with pytest.raises(ValueError, match="w must be finite, got 1 NaN or infinity in 64 weights"):
        gptq_table(PRODUCT, w, h, format="mxfp4", cut=cut, settings=settings(cut))
