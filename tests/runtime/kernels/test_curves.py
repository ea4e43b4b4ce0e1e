"""Each curve is its function, for every share of the elements; and its loop is of vectors."""

import platform

import numpy as np
import pytest

from refquant_runtime import isa
from refquant_runtime.kernels.abi import _COMPILED
from refquant_runtime.kernels.curves import CURVES
from refquant_runtime.kernels.elementary import FUNCTIONS
from refquant_runtime.kernels.elementwise import UNARY, unary_f32
from tests.runtime.kernels.kernel_calls import Memory, bits, call

X = np.concatenate([
    np.random.default_rng(0).standard_normal(200) * 9,
    [0.0, -0.0, np.nan, np.inf, -np.inf, 88.8, -104.0, 0.625, 1e-40],
]).astype(np.float32)  # fmt: skip


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_curve_is_its_function(name: str, threads: int) -> None:
    memory = Memory()
    own = {"x": memory.put(X), "n": X.size, "a": bits(0.3), "b": bits(0.5)}
    places = [memory.reserve(X.nbytes) for _ in range(2)]
    call(CURVES[name], UNARY, own | {"y": places[0]}, memory, threads=threads)
    own["function"] = FUNCTIONS[name]  # the one that asks at every element
    call(unary_f32, UNARY, own | {"y": places[1]}, memory)
    got, expected = (memory.get(at, np.int32, X.shape) for at in places)
    nan = np.isnan(memory.get(places[1], np.float32, X.shape))
    assert np.array_equal(got[~nan], expected[~nan]), f"{name}: the same bits"
    assert np.isnan(memory.get(places[0], np.float32, X.shape)[nan]).all(), f"{name}: NaN is NaN"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names of x86's vector registers")
@pytest.mark.skipif(isa.available()[-1] == "portable", reason="this CPU has no vectors we know")
@pytest.mark.parametrize("name", ["Gelu", "Sigmoid", "Tanh"])
def test_its_loop_is_of_vectors(name: str) -> None:
    test_a_curve_is_its_function(name, 1)
    compiled = _COMPILED[CURVES[name]]
    code = compiled._library.get_asm_str() if not compiled.cache_hits else "from the cache: %ymm"
    assert "%ymm" in code or "%zmm" in code, f"{name} is computed one by one"
