"""The settings of `FakeQuantize`: which there are, and which mean something together.

One place for those who read them in a file, write them from a recipe, and compute with them::

    format                granularity       scale     clip_ratio   threshold   contract
    int8 int4             tensor  token     tensor    dynamic      token       needed
    fp8_e4m3 fp8_e5m2     tensor  token     tensor    dynamic      token
    mx... (blocks of 32)  block
    nvfp4 (blocks of 16)  block             allowed

Source: ``docs/spec/operators.md`` section 8.
"""

from collections.abc import Mapping

import numpy as np

from refquant.formats.mx_formats import MX_FORMATS

__all__ = ["FORMATS", "FP8", "GRANULARITIES", "INTEGERS", "check_rules", "is_blocked", "mixes"]

INTEGERS = ("int8", "int4")
FP8: Mapping[str, str] = {"fp8_e4m3": "e4m3fn", "fp8_e5m2": "e5m2"}
"""Our name of a format -> that of its elements (`refquant.numerics.minifloat_formats`)."""
FORMATS = (*INTEGERS, *FP8, *MX_FORMATS, "nvfp4")
GRANULARITIES = ("tensor", "token", "block")


def check_rules(
    *, format: str, granularity: str, static: bool, clip_ratio: float, threshold: float | None
) -> None:
    """Refuse settings that mean nothing; ``static``: a scale is given.

    >>> check_rules(format="mxfp4", granularity="token", static=False, clip_ratio=1, threshold=None)
    Traceback (most recent call last):
    ValueError: granularity: mxfp4 has 'block', got 'token'
    """
    if format not in FORMATS:
        raise ValueError(f"format: one of {', '.join(FORMATS)}; got {format!r}")
    blocks = is_blocked(format)
    allowed = ("block",) if blocks else ("tensor", "token")
    if granularity not in allowed:
        listed = " or ".join(map(repr, allowed))
        raise ValueError(f"granularity: {format} has {listed}, got {granularity!r}")
    if static and granularity != "tensor" and format != "nvfp4":
        raise ValueError(
            "granularity: a static scale is one number, for 'tensor' and for nvfp4; got "
            f"{granularity!r} with {format}"
        )
    if not 0 < clip_ratio <= 1:  # NaN is neither
        raise ValueError(f"clip_ratio: a number above 0 and at most 1, got {clip_ratio!r}")
    if clip_ratio != 1 and (blocks or static):
        why = "of a static scale is the observer's business" if static else "is for int and fp8"
        raise ValueError(f"clip_ratio: clipping {why}; got {clip_ratio!r} with {format}")
    if threshold is not None and not 0 < threshold < np.inf:
        raise ValueError(f"threshold: a positive number, got {threshold!r}; leave it out for none")
    if threshold is not None and granularity != "token":
        raise ValueError(f"threshold: only with granularity 'token', got {granularity!r}")


def is_blocked(format: str) -> bool:
    """Say whether the format brings its blocks along: MX and NVFP4.

    >>> is_blocked("mxfp4"), is_blocked("fp8_e4m3")
    (True, False)
    """
    return format in MX_FORMATS or format == "nvfp4"


def mixes(*, format: str, granularity: str, static: bool, threshold: float | None) -> bool:
    """Say whether what a sample becomes depends on what stands beside it.

    >>> mixes(format="int8", granularity="token", static=False, threshold=6.0)
    True
    """
    return threshold is not None or (not static and (granularity == "tensor" or format == "nvfp4"))
