"""AdaRound in units of the layer: less error of outputs, never more in a row, no units, no seed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant.algorithms.adaround import AdaRound, output_error
from refquant.algorithms.adaround_weight import adaround_weight
from refquant.algorithms.hessian import Hessian
from refquant.algorithms.rtn import min_max, rtn
from refquant.algorithms.weight import QuantizedWeight
from refquant.contracts import preset

FAST = AdaRound(150, learning_rate=0.05, regularization=30.0, beta_start=20.0, beta_end=2.0,
                warm_start=0.2)  # fmt: skip


def layer(seed: int, *, bits: int = 3) -> tuple[Any, Any, QuantizedWeight]:
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((24, 32)).astype(np.float32)
    x = (rng.standard_normal((200, 32)) @ (rng.standard_normal((32, 32)) + 1)).astype(np.float32)
    nearest = rtn(w, group_size=16, dtype=f"uint{bits}", symmetric=False, contract=preset("ort"),
                  clip=min_max)  # fmt: skip
    return w, Hessian(32).update(x).matrix(), nearest


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_outputs_lose_less_than_by_rounding_to_nearest(bits: int) -> None:
    """The witness, and the law: no row loses more."""
    w, h, nearest = layer(1, bits=bits)
    found, changed = adaround_weight(w, h, nearest, FAST)
    before, after = (output_error(w, q.dequantize(), h) for q in (nearest, found))
    assert after.sum() < 0.5 * before.sum(), f"{after.sum()} of {before.sum()}"
    assert (after <= before).all(), "a row got worse"
    assert changed == np.count_nonzero(found.codes != nearest.codes) / w.size, f"{changed}"
    assert 0 < changed < 0.5, f"some weights go the other way: {changed}"
    assert np.abs(found.codes.astype(int) - nearest.codes).max() == 1, "up or down, no further"
    assert found.scale is nearest.scale, "the rulers stay"


def test_a_descent_that_fails_changes_nothing() -> None:
    """Weak and short, AdaRound makes some rows worse (its concept page): those keep theirs."""
    w, h, nearest = layer(2)
    weak = replace(FAST, iterations=3, learning_rate=5.0, regularization=0.0)
    found, _ = adaround_weight(w, h, nearest, weak)
    before, after = (output_error(w, q.dequantize(), h) for q in (nearest, found))
    assert (after <= before).all(), "a row got worse"
    same = (found.codes == nearest.codes).all(axis=1)
    assert same.any(), "some rows were not better"


@pytest.mark.parametrize("power", [-40, 6, 40])
def test_units_of_the_inputs_change_nothing(power: int) -> None:
    w, h, nearest = layer(3)
    base, _ = adaround_weight(w, h, nearest, FAST)
    got, _ = adaround_weight(w, h * 2.0**power, nearest, FAST)
    assert np.array_equal(got.codes, base.codes), f"H times 2^{power}"


def test_the_same_bytes_every_run() -> None:
    w, h, nearest = layer(4)
    runs = [adaround_weight(w, h, nearest, FAST)[0].codes.tobytes() for _ in range(2)]
    assert runs[0] == runs[1], "nothing is drawn"


def test_nothing_to_gain_is_nearest() -> None:
    w, h, nearest = layer(5)
    found, changed = adaround_weight(nearest.dequantize(), h, nearest, FAST)
    assert found is nearest, "every weight is on its mark"
    assert changed == 0.0, f"{changed}"
    silent, _ = adaround_weight(w, 0 * h, nearest, FAST)
    assert silent is nearest, "no input ever came"


def test_what_is_refused() -> None:
    w, h, nearest = layer(6)
    cases = (
        (h[:2], "h"),
        (h * np.nan, "h must be finite"),
        (h + np.triu(h), "h must be symmetric"),
    )
    for wrong, message in cases:
        with pytest.raises(ValueError, match=message):
            adaround_weight(w, wrong, nearest, FAST)
