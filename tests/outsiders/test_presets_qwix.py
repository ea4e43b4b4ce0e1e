"""The preset ``qwix`` beside qwix 0.1.8 with jax 0.10.2 on a CPU: codes and parameters."""

from typing import Any

import numpy as np
import pytest

from refquant.formats.affine import QParams
from tests.refquant.contracts.preset_inputs import (
    Array,
    Float32,
    differing_codes,
    differing_parameters,
)

jnp: Any = pytest.importorskip("jax.numpy", reason="qwix needs JAX; see `make outsiders`")
qarray: Any = pytest.importorskip("qwix._src.core.qarray", reason="the outsider itself")

pytestmark = pytest.mark.torch

Z = {"int8": (0, 1, -7, -128, 127), "int4": (0, 1, -8, 7)}


@pytest.mark.parametrize("dtype", Z)
def test_codes(dtype: str) -> None:
    """XLA multiplies by the reciprocal where the source divides: if that ends, this fails."""

    def theirs(x: Float32, p: QParams) -> Array:
        kind = getattr(jnp, dtype)
        zero_point = jnp.full((1,), int(p.zero_point), kind)
        held = qarray.quantize_with_scale_zero_point(
            jnp.array(x), kind, jnp.full((1,), p.scale), zero_point
        )
        return np.asarray(held.qvalue.astype(jnp.int8))

    assert differing_codes("qwix", dtype, Z[dtype], theirs) == [], "x * (1/s) + z, NaN to 0"


@pytest.mark.parametrize("dtype", Z)
def test_asymmetric_parameters(dtype: str) -> None:
    def theirs(lo: np.float32, hi: np.float32) -> tuple[float, float]:
        seen = {"min": jnp.full((1,), min(lo, 0)), "max": jnp.full((1,), max(hi, 0))}
        scale, zero_point = qarray.compute_scale_zero_point(seen, getattr(jnp, dtype))
        return float(scale[0]), int(zero_point[0])

    assert differing_parameters("qwix", dtype, False, theirs, every=4) == [], "a floor of 2^-63"


@pytest.mark.parametrize("dtype", Z)
def test_symmetric_parameters(dtype: str) -> None:
    def theirs(lo: np.float32, hi: np.float32) -> tuple[float, float]:
        amax = {"absmax": jnp.full((1,), max(abs(lo), abs(hi)))}
        return float(qarray.compute_scale_zero_point(amax, getattr(jnp, dtype))[0][0]), 0.0

    assert differing_parameters("qwix", dtype, True, theirs, every=4) == [], "qmax + 1/2"
