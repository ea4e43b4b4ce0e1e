"""FF-03, 04, 08, 09 and 14: a number has the code that is nearest, and is rounded once.

References
----------
IEEE 754-2019, section 4.3; ONNX, Cast-24.
"""

import numpy as np

from refquant_conformance.arithmetic.cast_probes import cast_case, magnitudes, midpoints, near
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_casts import FORMS, decode_exact
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array
from refquant_conformance.trial import Trial

__all__: list[str] = []

_CAST = ("cast",)
_CLAUSE = "ONNX Cast-24: round half to even; IEEE 754-2019, section 4.3"


def _source(trial: Trial) -> np.dtype[np.generic]:
    return np.dtype(types_of(trial.op, trial.scheme)["x"])


def _floats(trial: Trial, *names: str) -> str:
    """Return the target; skip other sources than those."""
    types = types_of(trial.op, trial.scheme)
    if types["x"] not in names:
        trial.skip(f"speaks of {', '.join(names)}")
    return types["y"]


def _inside(name: str) -> tuple[Array, Array]:
    """Return magnitudes and midpoints, without what lies beyond the last value."""
    steps, mids = magnitudes(name), midpoints(name)[:-1]
    if steps.size > 2**12:
        stride = slice(None, None, 61)
        return steps[stride], mids[stride]
    return steps, mids


def _both(x: Array) -> Array:
    return np.concatenate([x, -x]) if x.size else x


@prop("FF-03", "nearest_midpoints", ops=_CAST, clause=_CLAUSE, catches="2.7")
def midpoints_and_neighbours(trial: Trial) -> None:
    """Every midpoint has the code that the rule gives, and its neighbours the nearest ones."""
    name = _floats(trial, "float32", "float16")
    mids = _inside(name)[1]
    with np.errstate(over="ignore"):
        x = mids.astype(_source(trial))
    x = x[(x.astype(np.float64) == mids) & (x != 0)]
    if name == "float8_e8m0fnu":  # negative numbers are FF-10's
        trial.expect(cast_case(trial.scheme, near(x, 2)))
        return
    trial.expect(cast_case(trial.scheme, _both(near(x, 2))))


@prop("FF-04", "no_double_rounding", ops=_CAST, clause=_CLAUSE, catches="2.7")
def rounded_once(trial: Trial) -> None:
    """What a float32 would round to a tie is rounded once, unless the contract goes that way."""
    name = _floats(trial, "float64", "int64")
    mids = _inside(name)[1]
    if _source(trial).kind == "i":
        whole = mids[(mids == np.rint(mids)) & (mids < 2.0**61) & (mids > 2.0**33)]
        long = whole.astype(np.int64)
        trial.expect(cast_case(trial.scheme, _both(np.concatenate([long - 1, long, long + 1]))))
        return
    close = np.concatenate([mids * (1 + 2.0**-k) for k in (30, 40, 52)])
    below = np.concatenate([mids * (1 - 2.0**-k) for k in (30, 40, 52)])
    x = np.concatenate([mids, close, below])
    trial.expect(cast_case(trial.scheme, x if name == "float8_e8m0fnu" else _both(x)))


@prop("FF-08", "encode_monotone", ops=_CAST, clause=_CLAUSE, catches="2.7")
def monotone(trial: Trial) -> None:
    """A larger number never has a code that means less."""
    name = _floats(trial, "float32")
    steps = magnitudes(name)
    rng = np.random.default_rng(trial.seed)
    x = rng.uniform(steps[0], steps[-1] / 4, 3000) * np.exp2(rng.integers(-30, 3, 3000))
    x = np.clip(x, max(steps[0], 1e-30), steps[-1])
    x = np.sort(x if not FORMS[name].signed else _both(x)).astype(np.float32)
    case = cast_case(trial.scheme, x)
    codes = trial.outputs(case)["y"]
    if name == "float16":
        means = codes.astype(np.float64)
    else:
        means = np.array([decode_exact(int(code), name) for code in codes])
    falls = np.flatnonzero(~(means[1:] >= means[:-1]))
    if falls.size:
        at = int(falls[0])
        pair = cast_case(trial.scheme, x[at : at + 2])
        trial.fail(pair, f"{x[at]} means {means[at]}, and {x[at + 1]} means {means[at + 1]}")


@prop("FF-09", "exhaustive_f16_bf16", ops=_CAST, clause=_CLAUSE, catches="2.7")
def every_half(trial: Trial) -> None:
    """Every finite float16 that is in the range, and every such bfloat16, has its code."""
    name = _floats(trial, "float16", "float32")
    bits = np.arange(2**16, dtype=np.uint32)
    if _source(trial) == np.float16:
        x: Array = bits.astype(np.uint16).view(np.float16)
    else:
        x = (bits << np.uint32(16)).view(np.float32)
    least = 2.0**-126 if not FORMS[name].has_zero else 0.0
    x = x[np.isfinite(x)]
    wide = np.abs(x.astype(np.float64))
    inside = (wide <= magnitudes(name)[-1]) & (wide >= least)
    if not FORMS[name].signed:
        inside &= x > 0
    trial.expect(cast_case(trial.scheme, x[inside & ~((x == 0) & np.signbit(x))]))


@prop("FF-14", "carry", ops=_CAST, clause=_CLAUSE, catches="2.7 (simpler 2350)")
def carry(trial: Trial) -> None:
    """A number just below a power of two rounds to it, or stays below it: it is never halved."""
    name = _floats(trial, "float32", "float16", "float64")
    steps = magnitudes(name)
    form = FORMS[name]
    if not form.has_zero:
        trial.skip("E8M0 has no mantissa that overflows")
    m, least = form.mantissa_bits, 2.0 ** (2 - form.bias)  # above it, no number is subnormal
    powers = steps[(np.log2(np.maximum(steps, least / 2)) % 1 == 0) & (steps >= least)]
    x = np.concatenate([powers * (1 - 2.0 ** -(m + k)) for k in (1, 2, 3, 4)])
    with np.errstate(over="ignore", under="ignore"):
        x = x.astype(_source(trial))
    x = x[np.isfinite(x) & (x > 2.0**-13 * (_source(trial) == np.float16))]
    case = cast_case(trial.scheme, x)
    codes = trial.outputs(case)["y"]
    if name == "float16":
        means = codes.astype(np.float64)
    else:
        means = np.array([decode_exact(int(code), name) for code in codes])
    wide = x.astype(np.float64)
    nearest = trial.axes is None or str(trial.axes["rounding"]).startswith("half")
    wrong = ~(np.abs(means - wide) <= wide / 2 ** (m + nearest))
    if wrong.any():
        at = int(np.argmax(wrong))
        one = cast_case(trial.scheme, x[at : at + 1])
        trial.fail(one, f"{x[at]} becomes {means[at]}")
