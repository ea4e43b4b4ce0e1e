"""Backends that are bad in one way each, and one that is not: what a worker must live through.

Each computes QuantizeLinear of float32 into uint8, rightly but for its fault.
"""

import ctypes
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from refquant_conformance.adapters.engine import imported
from refquant_conformance.protocol import Capability, Case, Info, Rejected, Result, Unsupported

HERE = "tests.conformance.bad_backends"
TRIGGER = 2.0**60
"""The faults that end a process happen where this is the scale: QDQ-02 has it, no probe does."""


def quantized(case: Case) -> Any:
    x, scale, zero = (case.inputs[name] for name in ("x", "scale", "zero_point"))
    with np.errstate(all="ignore"):
        steps = np.clip(np.rint(x / scale) + zero.astype(np.float32), 0, 255)
    return np.nan_to_num(steps, nan=0).astype(np.uint8)


def triggered(case: Case) -> bool:
    return bool(case.inputs["scale"] == TRIGGER)


class Honest:
    """No fault: what the others are but for theirs."""

    protocol = 1

    def info(self) -> Info:
        return Info(type(self).__name__.lower(), "1")

    def capabilities(self) -> Iterable[Capability]:
        return [Capability("quantize_linear", "f32_u8")]

    def run(self, case: Case) -> Result:
        return Result({"y": quantized(case)})


class Missing(Honest):
    """Its engine is not installed."""

    def __init__(self) -> None:
        imported("an_engine_that_nobody_has", "nobody")


class OfTomorrow(Honest):
    """Speaks a protocol that comes later."""

    protocol = 2


class Empty(Honest):
    """Lists no cell: whoever judges it has proved nothing."""

    def capabilities(self) -> Iterable[Capability]:
        return []


class NoBackend:
    """Cannot compute."""

    def info(self) -> Info:
        return Info("nothing", "1")


class EndsAtStart(Honest):
    """Ends its process before it is asked."""

    def __init__(self) -> None:
        print("no licence found", file=sys.stderr, flush=True)
        os._exit(3)


class RaisesAtStart(Honest):
    """Fails in its constructor, in a way of its own."""

    def __init__(self) -> None:
        raise RuntimeError("no device")


class Crashing(Honest):
    """Aborts."""

    def run(self, case: Case) -> Result:
        if triggered(case):
            os.abort()
        return super().run(case)


class CrashingElsewhere(Honest):
    """Aborts in every cell that it does not list."""

    def run(self, case: Case) -> Result:
        if case.scheme != "f32_u8":
            os.abort()
        return super().run(case)


class Leaving(Honest):
    """Ends its process as if all was well."""

    def run(self, case: Case) -> Result:
        if triggered(case):
            sys.exit(0)
        return super().run(case)


class Hanging(Honest):
    """Says nothing for a minute."""

    def run(self, case: Case) -> Result:
        if triggered(case):
            time.sleep(60)
        return super().run(case)


class Silent(Honest):
    """Says nothing, whatever it is asked."""

    def run(self, case: Case) -> Result:
        time.sleep(60)
        return super().run(case)


class Raising(Honest):
    """Raises what no adapter should."""

    def run(self, case: Case) -> Result:
        raise KeyError("a dictionary of its own")


class NoResult(Honest):
    """Returns an array, not a Result."""

    def run(self, case: Case) -> Result:
        return quantized(case)  # type: ignore[no-any-return]  # the fault


class NoArray(Honest):
    """Gives a list where an array should be."""

    def run(self, case: Case) -> Result:
        return Result({"y": quantized(case).tolist()})


class NoOutput(Honest):
    """Names its output otherwise."""

    def run(self, case: Case) -> Result:
        return Result({"output": quantized(case)})


class OtherType(Honest):
    """Gives the codes as float64."""

    def run(self, case: Case) -> Result:
        return Result({"y": quantized(case).astype(np.float64)})


class OtherShape(Honest):
    """Loses an axis."""

    def run(self, case: Case) -> Result:
        return Result({"y": quantized(case).reshape(-1)[:1]})


class NotANumber(Honest):
    """Dequantizes into NaN."""

    def capabilities(self) -> Iterable[Capability]:
        return [Capability("dequantize_linear", "u8_f32")]

    def run(self, case: Case) -> Result:
        return Result({"y": np.full(case.inputs["x"].shape, np.nan, np.float32)})


class Lying(Honest):
    """Claims a cell that it then says it does not compute."""

    def capabilities(self) -> Iterable[Capability]:
        return [Capability("quantize_linear", "f32_u8"), Capability("quantize_linear", "f32_i8")]

    def run(self, case: Case) -> Result:
        if case.scheme != "f32_u8":
            raise Unsupported("uint8 only")
        return super().run(case)


class Inventing(Honest):
    """Claims a cell that the catalogue does not have."""

    def capabilities(self) -> Iterable[Capability]:
        return [Capability("quantize_linear", "f32_u9")]


class Refusing(Honest):
    """Calls every input bad."""

    def run(self, case: Case) -> Result:
        raise Rejected("I do not like it")


class Printing(Honest):
    """Writes to its standard output and error, in Python and below it, more than a pipe holds."""

    def run(self, case: Case) -> Result:
        print("computing " * 10_000, flush=True)
        os.write(1, b"\x80\x04\x95" * 10_000)
        os.write(2, b"warning\n")
        return super().run(case)


class Mutating(Honest):
    """Sorts its input in place."""

    def run(self, case: Case) -> Result:
        result = super().run(case)
        case.inputs["x"][...] = 0
        return result


class LeavingFlushed(Honest):
    """Sets the processor to take subnormals for zero, and leaves it so."""

    def run(self, case: Case) -> Result:
        library = ctypes.CDLL("libm.so.6")
        state = ctypes.create_string_buffer(32)
        library.fegetenv(state)
        control = int.from_bytes(state.raw[28:], "little") | 0x8040
        result = super().run(case)
        state.raw = state.raw[:28] + control.to_bytes(4, "little")
        library.fesetenv(state)
        return result


class NotToBeSent(Honest):
    """Says who computed by a thing that no pipe can carry."""

    def run(self, case: Case) -> Result:
        return Result({"y": quantized(case)}, {"kernel": lambda: "me"})  # type: ignore[dict-item]  # the fault


class Wavers(Honest):
    """Wrong when it is asked the same again: no function of its inputs."""

    def __init__(self) -> None:
        self.asked: set[bytes] = set()

    def run(self, case: Case) -> Result:
        y, key = quantized(case), case.inputs["x"].tobytes()
        again = triggered(case) and key in self.asked
        self.asked.add(key)
        return Result({"y": y ^ 1 if again else y})
