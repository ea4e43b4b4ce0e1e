"""FF-01, 02 and 11: what codes of small floats mean.

References
----------
OCP 8-bit Floating Point Specification 1.0, section 4; OCP Microscaling Formats 1.0, section 5.
"""

import numpy as np

from refquant_conformance.arithmetic.cast_probes import FORMAT_OF, cast_case
from refquant_conformance.arithmetic.decode import codes_of, decode_case
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_casts import decode_exact
from refquant_conformance.properties.registry import prop
from refquant_conformance.trial import Trial
from refquant_conformance.types import storage

__all__: list[str] = []

_CLAUSE = "OCP OFP8 1.0, section 4; OCP MX 1.0, section 5: the value of each code"
_SCALE = "OCP MX 1.0, section 5.4.1: E8M0 has 2^(e - 127), and NaN at 255"


@prop("FF-01", "decode_exhaustive", ops=("decode",), clause=_CLAUSE, catches="2.7")
def every_code(trial: Trial) -> None:
    """Every code but those of FF-11 means its own number, infinity or NaN, the sign of 0 kept."""
    codes = codes_of(trial.scheme)
    if trial.scheme.startswith("e8m0"):
        codes = codes[1:-1]
    trial.expect(decode_case(trial.scheme, codes))


@prop("FF-02", "encode_decode", ops=("cast",), clause=_CLAUSE, catches="2.7")
def survives(trial: Trial) -> None:
    """What a code means has that code, whatever the rounding."""
    types = types_of(trial.op, trial.scheme)
    if types["x"] != "float32" or types["y"] == "float16":
        trial.skip("speaks of float32, which holds every value")
    form = FORMAT_OF[types["y"]]
    codes = np.arange(1 << form.num_bits)
    values = np.array([decode_exact(int(code), types["y"]) for code in codes], np.float32)
    kept = np.isfinite(values)
    codes, values = codes[kept].astype(storage(types["y"])), values[kept]
    case = cast_case(trial.scheme, values)
    got = trial.outputs(case)["y"]
    if (got != codes).any():
        at = int(np.argmax(got != codes))
        one = cast_case(trial.scheme, values[at : at + 1])
        trial.fail(one, f"code {codes[at]} means {values[at]}, whose code is {got[at]}")


@prop("FF-11", "e8m0_decode", ops=("decode",), clause=_SCALE, catches="2.7")
def scales(trial: Trial) -> None:
    """E8M0's code 0 is 2^-127, a subnormal float32, 254 is 2^127, and 255 is NaN."""
    if not trial.scheme.startswith("e8m0"):
        trial.skip("speaks of E8M0")
    case = decode_case(trial.scheme, np.array([0, 254, 255]))
    got = trial.outputs(case)["y"]
    if got[0] != np.float32(2.0**-127) or got[1] != np.float32(2.0**127) or not np.isnan(got[2]):
        if trial.axes is not None and trial.axes["subnormals"] == "flushed":
            trial.notes["Flushed"] = f"code 0 means {got[0]}"
            return
        trial.fail(case, f"0, 254, 255 mean {got.tolist()}")
