"""Floating-point modes: entered, watched, and left as they were found."""

import ctypes

import numpy as np
import pytest

from refquant_conformance.conversation import answer
from refquant_conformance.environment import MODE, entered
from refquant_conformance.protocol import ENVIRONMENTS, Array, Case, Unsupported
from tests.conformance.bad_backends import Honest, LeavingFlushed

TINY = np.array([1e-40], np.float32)  # a subnormal


def third() -> float:
    return float(np.float32(1) / np.float32(3))


def test_each_mode_rounds_or_flushes_as_it_says() -> None:
    seen = {}
    for mode in ENVIRONMENTS:
        with entered(mode) as watch:
            seen[mode] = third(), float((TINY * np.float32(0.5))[0])
        assert watch.kept, f"{mode} was not kept by who does nothing"
    default, half = seen["default"]
    below = float(np.nextafter(np.float32(default), np.float32(0)))
    assert seen["round_up"][0] == default, "1/3 is nearest from above"
    assert seen["round_down"][0] == seen["round_toward_zero"][0] == below, f"{seen}"
    assert half > 0, "subnormals are flushed by default"
    assert seen["flush_to_zero"][1] == 0, "subnormals are kept"
    assert third() == default, "a mode is left behind"


def test_the_mode_is_restored_when_the_body_raises() -> None:
    before = third()
    with pytest.raises(KeyError), entered("round_down"):
        raise KeyError("fault")
    assert third() == before, "a mode is left behind"


def test_who_leaves_another_mode_is_told_and_the_mode_restored() -> None:
    before = third()
    with entered("default") as watch:
        ctypes.CDLL("libm.so.6").fesetround(0x400)  # FE_DOWNWARD
    assert not watch.kept, "it is not told"
    assert third() == before, "a mode is left behind"
    zero = np.zeros((), np.uint8)
    inputs: dict[str, Array] = {"x": TINY, "scale": np.ones((), np.float32), "zero_point": zero}
    case = Case("quantize_linear", "f32_u8", inputs)
    assert answer(LeavingFlushed().run, case).mutated == (MODE,), "it is not told"
    assert answer(Honest().run, case).mutated == (), "who keeps it is accused"


def test_other_machines_have_the_default_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with entered("default") as watch:
        pass
    assert watch.kept, "the default is not entered"
    with pytest.raises(Unsupported, match=r"flush_to_zero: .* on x86-64 Linux only"):
        entered("flush_to_zero").__enter__()
