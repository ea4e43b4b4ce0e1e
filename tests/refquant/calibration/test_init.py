"""The laws that hold for every observer, whatever its rule."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from refquant.calibration import OBSERVERS, Observer, observer
from refquant.contracts import preset

NAMES = tuple(OBSERVERS)
EXACT = tuple(n for n in NAMES if n != "moving_average")
F32_MAX = float(np.finfo(np.float32).max)
TINY = 2.0**-149
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, TINY, -TINY, 2.0**-126, F32_MAX, -F32_MAX, 1e-20, 2.0**24]

element = st.one_of(
    st.sampled_from(EDGES),
    st.floats(-4, 4, width=32),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)
data = st.lists(element, min_size=1, max_size=30).map(lambda v: np.array(v, np.float32))


def fold(state: Any, *batches: NDArray[np.float32]) -> Any:
    for batch in batches:
        state = state.update(batch)
    return state


def small(name: str) -> Observer:
    """The observer with few bins and candidates, so that it is fast and its bins are filled."""
    few = {"entropy": {"bins": 300}, "mse_histogram": {"bins": 64, "steps": 1}}
    fewer = {"mse_grid": {"bins": 64, "grid": 10}, "percentile": {"bins": 64, "percentile": 90}}
    return observer(name, {**few, **fewer}.get(name, {}))


@pytest.mark.parametrize("name", EXACT)
@given(a=data, b=data)
def test_merging_equals_seeing_both(name: str, a: Any, b: Any) -> None:
    empty = small(name)
    merged = fold(empty, a).merge(fold(empty, b))
    assert merged == fold(empty, a, b), "merge(update(a), update(b)) != update(a then b)"
    assert merged == fold(empty, b, a), "the order of the batches shows"
    assert merged == fold(empty, np.concatenate([a, b])), "the cut into batches shows"


@pytest.mark.parametrize("name", EXACT)
@given(a=data, b=data, c=data)
def test_merging_is_associative_and_commutative(name: str, a: Any, b: Any, c: Any) -> None:
    x, y, z = (fold(small(name), part) for part in (a, b, c))
    assert x.merge(y).merge(z) == x.merge(y.merge(z)), "grouping shows"
    assert x.merge(y) == y.merge(x), "order shows"


@pytest.mark.parametrize("name", EXACT)
@given(a=data, seed=st.integers(0, 2**32 - 1))
def test_permuting_the_elements_changes_nothing(name: str, a: Any, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(a)
    assert fold(small(name), shuffled) == fold(small(name), a), "the order of elements shows"


@pytest.mark.parametrize("name", NAMES)
@given(a=data)
def test_the_empty_state_is_neutral(name: str, a: Any) -> None:
    empty = small(name)
    state = fold(empty, a)
    assert state.merge(empty) == state, "merging nothing on the right changed the state"
    assert empty.merge(state) == state, "merging nothing on the left changed the state"


@pytest.mark.parametrize("name", NAMES)
@given(a=data)
def test_the_range_is_within_the_data_and_zero(name: str, a: Any) -> None:
    lo, hi = fold(small(name), a).range()
    assert lo.dtype == hi.dtype == np.float32, "a range is float32"
    assert lo <= hi, f"the range [{lo}, {hi}] is upside down"
    assert min(a.min(), 0) <= lo, f"{lo} is below the data"
    assert hi <= max(a.max(), 0), f"{hi} is above the data"


@pytest.mark.parametrize("name", NAMES)
@given(a=data.filter(lambda v: bool((abs(v[v != 0]) > 1e-25).all())), k=st.integers(-20, 20))
def test_a_power_of_two_moves_the_range_and_nothing_else(name: str, a: Any, k: int) -> None:
    """Every step is exact under a power of two, until float32 ends."""
    if float(np.abs(a).max()) * 2.0**k > F32_MAX:
        return
    lo, hi = fold(small(name), a).range()
    scaled = fold(small(name), np.ldexp(a, k)).range()
    assert scaled == (np.ldexp(lo, k), np.ldexp(hi, k)), f"the range does not scale by 2^{k}"


@pytest.mark.parametrize("name", NAMES)
def test_memory_does_not_grow_with_the_data(name: str, payload: Callable[[Any], int]) -> None:
    rng = np.random.default_rng(0)
    state: Any = observer(name, {})
    sizes = []
    for i in range(200):
        state = state.update(rng.standard_normal(50).astype(np.float32) * np.float32(2) ** (i % 50))
        sizes.append(payload(state))
    assert max(sizes) <= 8 * 2048 + 100, f"the state holds {max(sizes)} bytes"


@pytest.fixture
def payload() -> Callable[[Any], int]:
    """Bytes of a state's arrays, and 8 for every other field."""

    def count(value: Any) -> int:
        if isinstance(value, np.ndarray):
            return value.nbytes
        fields = getattr(value, "__dataclass_fields__", {})
        return sum(count(getattr(value, f)) for f in fields if f != "options") if fields else 8

    return count


CASES = {
    "zeros": [0.0, 0.0, -0.0],
    "constant": [3.0] * 5,
    "negative constant": [-3.0] * 5,
    "one element": [0.1],
    "subnormals": [TINY, -3 * TINY, 2.0**-130],
    "one subnormal": [TINY],
    "only positive": [1.0, 2.0, 3.0],
    "only negative": [-1.0, -2.0, -3.0],
    "far from zero": [1000.0, 1000.5],
    "float32 max": [F32_MAX],
    "float32 min": [-F32_MAX, 0.0],
    "one and float32 max": [1.0, F32_MAX],
    "smallest and largest": [TINY, F32_MAX],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int4"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_degenerate_data_give_parameters(name: str, case: str, dtype: str, symmetric: bool) -> None:
    x = np.array(CASES[case], np.float32)
    state = observer(name, {}).update(x)
    p = state.qparams(dtype=dtype, symmetric=symmetric, contract=preset("onnx"))
    qmin, qmax = p.code_range
    assert np.isfinite(p.scale), f"scale {p.scale} of {case}"
    assert p.scale > 0, f"scale {p.scale} of {case}"
    assert qmin <= p.zero_point <= qmax, f"zero point {p.zero_point} of {case}"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [3.0, -3.0, 0.0, 2.0**-149, F32_MAX])
def test_a_constant_is_never_clipped(name: str, value: float) -> None:
    x = np.full(7, value, np.float32)
    lo, hi = observer(name, {}).update(x).update(x).range()
    assert min(float(lo), 0.0) <= value <= max(float(hi), 0.0), f"{value} is outside [{lo}, {hi}]"


@pytest.mark.parametrize("name", NAMES)
def test_no_data_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="no data: call update"):
        observer(name, {}).range()
    with pytest.raises(ValueError, match="no data: call update"):
        observer(name, {}).qparams(dtype="int8", symmetric=False, contract=preset("onnx"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.array([np.nan], np.float32), "finite"),
        (np.array([np.inf], np.float32), "finite"),
        (np.zeros(0, np.float32), "empty"),
        (np.zeros(1), "float32"),
    ],
)
def test_bad_data_are_refused_by_all_alike(name: str, bad: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        observer(name, {}).update(bad)


@pytest.mark.parametrize("name", NAMES)
def test_update_changes_neither_state_nor_batch(name: str) -> None:
    x = np.array([1.0, -2.0], np.float32)
    state = observer(name, {}).update(x)
    kept = state.range()
    state.update(np.array([50.0], np.float32))
    assert state.range() == kept, "an update changed the old state"
    assert x.tolist() == [1.0, -2.0], "an update changed its batch"


@pytest.mark.parametrize("name", NAMES)
def test_states_of_different_observers_do_not_merge(name: str) -> None:
    other: Any = observer("entropy" if name != "entropy" else "minmax", {})
    with pytest.raises(ValueError, match="merge needs two states of one observer"):
        observer(name, {}).merge(other)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("moving_average", {"momentum": 0.5}),
        ("percentile", {"percentile": 90.0}),
        ("percentile", {"bins": 64}),
        ("mse_histogram", {"bins": 64}),
        ("mse_histogram", {"steps": 2}),
        ("entropy", {"bins": 64}),
        ("mse_grid", {"bins": 64}),
        ("mse_grid", {"grid": 7}),
        ("mse_grid", {"max_shrink": 0.5}),
        ("mse_grid", {"norm": 2.0}),
    ],
)
def test_different_settings_do_not_merge(name: str, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"merge needs equal {next(iter(options))}"):
        observer(name, {}).merge(observer(name, options))


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("moving_average", "momentum", 1.0),
        ("moving_average", "momentum", -0.1),
        ("moving_average", "momentum", float("nan")),
        ("percentile", "percentile", 0.0),
        ("percentile", "percentile", 100.1),
        ("percentile", "percentile", float("nan")),
        ("percentile", "bins", 1),
        ("mse_histogram", "bins", 2.5),
        ("mse_histogram", "steps", 0),
        ("entropy", "bins", 65537),
        ("mse_grid", "grid", 0),
        ("mse_grid", "max_shrink", 1.0),
        ("mse_grid", "norm", 0.5),
        ("mse_grid", "norm", float("nan")),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, option: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{option} must be .*in [\[(].*, got"):
        observer(name, {option: value})


def test_an_unknown_name_lists_the_allowed() -> None:
    with pytest.raises(ValueError, match="unknown observer 'kl'; allowed: minmax, moving_average"):
        observer("kl", {})


def test_an_unknown_option_lists_the_allowed() -> None:
    with pytest.raises(ValueError, match="no option 'bin'; allowed: percentile, bins"):
        observer("percentile", {"bin": 64})


@pytest.mark.parametrize("value", ["64", True, None])
def test_an_option_is_a_number(value: Any) -> None:
    with pytest.raises(ValueError, match="option 'bins' of 'percentile' must be a number"):
        observer("percentile", {"bins": value})


def test_a_whole_float_is_an_integer() -> None:
    assert observer("percentile", {"bins": 64.0}) == observer("percentile", {"bins": 64})
