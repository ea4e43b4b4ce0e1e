"""Nearness by hand, and against the metrics on whole arrays."""

import math

import numpy as np
import pytest

from refquant.evaluation.similarity import moments_of_samples, similarity
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.metrics import cosine, sqnr_db
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from tests.refquant.evaluation.two_models import chain, small_net
from tests.refquant.model.literals import f32

X = np.random.default_rng(2).standard_normal((300, 4)).astype(np.float32)


def test_two_samples_by_hand() -> None:
    b = Builder("halved")  # sample 0 is scaled, sample 1 turned
    x = b.input("x", ("N", 2))
    graph = b.graph([b.node("Mul", [x, b.constant("w", f32([1, 0]))], name="y")])
    found = similarity(chain(1), graph, [{"x": f32([[2, 0], [3, 4]])}])
    assert len(found) == 1, f"{found}"
    near = found[0]
    assert [m.cosine for m in near.samples] == [1.0, 9 / 15], f"{near}"
    assert (near.cosine_mean, near.cosine_least) == (0.8, 0.6), f"{near}"
    assert near.sqnr_db == 10 * math.log10(29 / 16), "signals and noises are summed"
    assert near.sqnr_db_least == 10 * math.log10(25 / 16), "of the second alone"
    assert near.largest == 4, f"{near.largest}"


@pytest.mark.parametrize("name", ["int8_static", "int8_full_integer", "int8_dynamic", "int4_rtn"])
def test_it_is_the_metrics_of_each_sample(name: str) -> None:
    net = small_net()
    small = quantize(net, recipe(name), {"x": X})
    told: list[int] = []
    (near,) = similarity(net, small, [{"x": X[:200]}, {"x": X[200:]}], advance=told.append)
    assert sum(told) == 300 == len(near.samples), f"{told}"
    if name != "int8_full_integer":
        r, t = run(net, {"x": X})["y"], run(small, {"x": X})["y"]
        each = [cosine(a, b) for a, b in zip(r, t, strict=True)]
        assert [m.cosine for m in near.samples] == each, "sample by sample"
        # Sums of 900 squares in two orders: each within 900 roundings, so is their quotient twice.
        bound = 4 * 900 * 2.0**-53 * 10 / math.log(10)
        assert abs(near.sqnr_db - sqnr_db(r, t)) <= bound, "all together"
    assert 20 < near.sqnr_db < 80, f"{near.sqnr_db}"
    assert near.sqnr_db_least <= near.sqnr_db, "a sample with a small signal suffers most"
    assert near.cosine_least <= near.cosine_mean <= 1, f"{near.cosine_mean}"


def test_a_model_is_as_near_as_can_be_to_itself() -> None:
    (near,) = similarity(small_net(), small_net(), [{"x": X}])
    assert (near.cosine_mean, near.cosine_least, near.sqnr_db) == (1.0, 1.0, math.inf), f"{near}"


def test_zeros_have_no_direction() -> None:
    (near,) = similarity(chain(1), chain(0), [{"x": f32([[1, 1]])}])
    assert math.isnan(near.cosine_mean), f"{near}"
    assert near.sqnr_db == 0, "noise as large as the signal"


def test_models_without_a_common_output() -> None:
    with pytest.raises(ValueError, match=r"no output in common: y \['N', 2\] and z \['N', 2\]"):
        similarity(chain(1), chain(1, last="z"), [{"x": f32([[1, 1]])}])


def test_nan_and_infinity_are_refused_by_name() -> None:
    for factor, whose in ((np.nan, "model"), (np.inf, "model")):
        with pytest.raises(ValueError, match=f"the {whose} computes NaN or infinity in 'y'"):
            similarity(chain(1), chain(factor), [{"x": f32([[1, 1]])}])
    with pytest.raises(ValueError, match="the reference computes NaN or infinity in 'y'"):
        similarity(chain(np.nan), chain(1), [{"x": f32([[1, 1]])}])


def test_without_a_batch_all_is_one_sample() -> None:
    r, t = f32([[1, 2], [3, 4]]), f32([[1, 2], [3, 5]])
    (whole,) = moments_of_samples("y", r, t, batch=False)
    assert (whole.signal, whole.noise) == (30, 1), f"{whole}"
