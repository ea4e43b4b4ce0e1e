"""What tests of a family of arithmetics share: reference and oracle agree, probes tell values."""

from itertools import combinations

import numpy as np

from refquant_conformance.arithmetic import Arithmetic, Axes
from refquant_conformance.arithmetic.base import candidates
from refquant_conformance.protocol import Array, Case


def computed(arithmetic: Arithmetic, case: Case, axes: Axes) -> Array:
    """Return the output y, and assert that there is one."""
    made = arithmetic.compute(case, axes)
    assert made is not None, f"{arithmetic.op} refuses {dict(axes)}"
    return made["y"]


def assert_counted_again(arithmetic: Arithmetic, scheme: str, *, each: int = 2) -> None:
    """Assert that the oracle counts what the reference computes, for every choice of axes."""
    rng = np.random.default_rng(0)
    probes = list(arithmetic.probes(scheme))
    counted = 0
    choices = list(candidates(arithmetic))
    step = 1 if len(choices) < 10 else 5
    for k, axes in enumerate(choices):
        for case in probes[k % step :: step]:
            outputs = arithmetic.compute(case, axes)
            for name, array in (outputs or {}).items():
                for index in rng.integers(0, array.size, each):
                    told = array.reshape(-1)[index].item()
                    exact = arithmetic.exact(case, axes, name, int(index))
                    assert told == exact, f"{dict(axes)}, {name}[{index}]: {told}, exactly {exact}"
                    counted += 1
    assert counted > 20, "hardly anything was compared"


def assert_told_apart(arithmetic: Arithmetic, scheme: str, axis: str, *bases: Axes) -> None:
    """Assert that a probe separates every two values of an axis, the others as in some base."""
    named = {
        frozenset(e.values) for e in arithmetic.equal if e.axis == axis and scheme in e.schemes
    }
    probes = list(arithmetic.probes(scheme))
    made = {
        value: [arithmetic.compute(case, {**b, axis: value}) for b in bases for case in probes]
        for value in arithmetic.axes[axis]
    }
    for one, other in combinations(made, 2):
        if frozenset((one, other)) in named:
            continue
        differ = any(
            (a is None) != (b is None)
            or (a is not None and b is not None and any((a[n] != b[n]).any() for n in a))
            for a, b in zip(made[one], made[other], strict=True)
        )
        assert differ, f"{arithmetic.op} {scheme}: no probe tells {axis} {one} from {other}"


def assert_alone(arithmetic: Arithmetic, scheme: str, axes: Axes) -> None:
    """Assert that an element computed alone is the element of the whole."""
    for case in list(arithmetic.probes(scheme))[::4]:
        whole = arithmetic.compute(case, axes)
        if whole is None:
            continue
        flat = whole["y"].reshape(-1)
        for index in {0, flat.size // 3, flat.size - 1}:
            alone = arithmetic.compute(arithmetic.element(case, index), axes)
            assert alone is not None, "refused alone"
            got = alone["y"].reshape(-1)
            assert got[index % got.size] == flat[index], f"element {index} of {case.op}"
