"""What a recipe says reaches the algorithm: importance of the Hessian, rulers, settings."""

from typing import Any

import numpy as np
import pytest

from refquant.algorithms.adaround_weight import adaround_weight
from refquant.algorithms.hessian import Hessian
from refquant.algorithms.kquant import PLAIN, WEIGHTED, Search, kquant
from refquant.contracts import preset
from refquant.model.fit_layer import adaround_layer, kquant_layer, rounded
from refquant.model.recipe_rules import Weights, without_data

ORT = preset("ort")


def layer() -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    x = (rng.standard_normal((100, 32)) * np.exp2(rng.integers(-3, 4, 32))).astype(np.float32)
    return rng.standard_normal((6, 32)).astype(np.float32), x


def rules(**told: Any) -> Weights:
    return Weights(3, False, "group", 8, **told)


@pytest.mark.parametrize(
    ("told", "settings"),
    [
        ({}, WEIGHTED),
        ({"start": -0.5, "steps": 3}, Search(start=-0.5, delta=0.05, steps=3)),
        ({"magnitude": True}, Search(start=-0.9, delta=0.05, steps=36, magnitude=True)),
    ],
)
def test_importance_is_the_mean_square_of_each_input(told: Any, settings: Search) -> None:
    w, x = layer()
    q, record = kquant_layer(w, rules(algorithm="kquant", kquant=told), 8, Hessian(32).update(x))
    h = (Hessian(32).update(x).matrix().diagonal() / 2).astype(np.float32)
    exact = (x.astype(float) ** 2).mean(axis=0)
    # Hessian, eq. (4): off by 2^-20 of the square of a token's largest, at most 4^4 here.
    assert np.abs(h - exact).max() <= 2.0**-20 * 4.0**5, "half the diagonal of H"
    expected = kquant(w, num_bits=3, group_size=8, importance=h, settings=settings)
    assert q.dequantize().tobytes() == expected.dequantize().tobytes(), "other weights"
    assert record == {"tokens": 100}, f"{record}"


def test_without_importance_no_data_are_looked_at() -> None:
    w, _ = layer()
    told = rules(algorithm="kquant", kquant={"importance": False})
    q, record = kquant_layer(w, told, 8, None)
    expected = kquant(w, num_bits=3, group_size=8, importance=None, settings=PLAIN)
    assert q.dequantize().tobytes() == expected.dequantize().tobytes(), "other weights"
    assert record == {}, f"{record}"
    blind = without_data(rules(algorithm="kquant"))
    assert blind == told, "what no calibration sees is searched without"
    assert without_data(rules(algorithm="awq")) == rules(), "and else rounded"


def test_inputs_that_never_come_are_an_error_of_importance() -> None:
    w, x = layer()
    told = rules(algorithm="kquant")
    with pytest.raises(ValueError, match="importance is 0 everywhere: no input was ever nonzero"):
        kquant_layer(w, told, 8, Hessian(32).update(0 * x))


@pytest.mark.parametrize("exponent", [-100, 80])
def test_squares_beyond_float32_are_importance_too(exponent: int) -> None:
    w, x = layer()
    told = rules(algorithm="kquant")
    plain, _ = kquant_layer(w, told, 8, Hessian(32).update(x))
    far, _ = kquant_layer(w, told, 8, Hessian(32).update(np.ldexp(x, exponent)))
    assert np.array_equal(far.codes, plain.codes), "a power of two is a unit"


def test_adaround_starts_from_the_rulers_of_rounding() -> None:
    w, x = layer()
    h = Hessian(32).update(x)
    for observer in ("minmax", "mse_grid"):
        told = rules(algorithm="adaround", adaround={"iterations": 30}, observer=observer)
        q, record = adaround_layer(w, told, 8, ORT, h)
        nearest = rounded(w, rules(observer=observer), 8, ORT)
        assert told.adaround is not None, "Weights sets it"
        expected, changed = adaround_weight(w, h.matrix(), nearest, told.adaround.settings())
        assert q.codes.tobytes() == expected.codes.tobytes(), f"{observer}: other codes"
        assert q.scale.tobytes() == nearest.scale.tobytes(), f"{observer}: other scales"
        assert record == {"changed": changed, "tokens": 100}, f"{record}"
