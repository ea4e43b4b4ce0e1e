r"""Casts to small floats: which code a number gets, in four families of targets.

.. math::

    code = \operatorname{encode}(\operatorname{round}(\mathrm{fl}(x)))            \tag{1}

fl is the identity for ``via = direct``, and rounds to float32 for ``via_f32``: what most
converters of float64 and of integers do, and what rounds twice. The families differ in what a
number becomes that no code stands for:

==================  =====================================================================
FP8 of OCP          ``fp_overflow`` and ``infinity``: saturate, ieee (infinity, or NaN where
                    there is none), nan; ``nan_sign``, of which ``all_ones`` is the largest code
FP8 with one zero   ``fp_overflow``; ``fnuz_infinity``
float16, bfloat16   ``nan_sign``; what is too large is infinite
FP6, FP4            ``nan_becomes``: there is no NaN; what is too large is the largest
E8M0                ``e8m0``, how it rounds; ``of_zero``, ``of_negative``: it has neither
==================  =====================================================================

Left out: casts between small floats (``decode``, then ``cast``), random rounding.

References
----------
ONNX, Cast-24 (``saturate``, ``round_mode``); OCP 8-bit Floating Point Specification 1.0.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations
from types import MappingProxyType

import numpy as np

from refquant.contracts.axes import AxisValue
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Equal
from refquant_conformance.arithmetic.cast_codes import asked, computed
from refquant_conformance.arithmetic.cast_probes import probes
from refquant_conformance.operators import OPERATORS
from refquant_conformance.oracle_casts import cast_exact
from refquant_conformance.protocol import Array, Case

__all__ = ["CASTS"]

_ROUNDING = ("half_even", "half_away", "half_up", "half_down", "toward_zero", "floor", "ceil")
_POLICIES = ("saturate", "ieee", "nan")
_LEAST_END = 240.0  # of the FP8 formats, e4m3fnuz ends first
_BEYOND = 2.0**127  # what a float32 may take for infinite is beyond it
_CLAUSE = "ONNX Cast-24: round half to even; saturate, by default 1; round_mode of E8M0"


def _exact(case: Case, axes: Axes, output: str, index: int) -> int | float | None:
    x = case.inputs["x"].reshape(-1)[index].item()
    refused = axes.get("nan_becomes") == "error" and np.isnan(case.inputs["x"]).any()
    return None if refused else cast_exact(x, case.types["y"], asked(case, axes))


def _element(case: Case, index: int) -> Case:
    return replace(case, inputs={"x": case.inputs["x"].reshape(-1)[index : index + 1]})


def _relevant_of(
    axes: Mapping[str, tuple[AxisValue, ...]],
) -> Callable[[Case], tuple[str, ...]]:
    def becomes_nan(x: Array) -> Array:
        """What is too large may be NaN, where ``fp_overflow`` says so."""
        return ("fp_overflow" in axes) & (np.abs(x) > _LEAST_END)

    def relevant(case: Case) -> tuple[str, ...]:
        x = case.inputs["x"]
        names = [a for a in axes if a != "via" or x.dtype.itemsize == 8]
        if x.dtype.kind != "f" or not (np.abs(x.astype(np.float64)) > _BEYOND).any():
            names = [a for a in names if not a.endswith("infinity")]
        if x.dtype.kind != "f" or not (np.isnan(x) | becomes_nan(x)).any():
            names = [a for a in names if not a.startswith("nan")]
        return tuple(names)

    return relevant


def _schemes(*targets: str) -> tuple[str, ...]:
    known = OPERATORS["cast"].schemes
    return tuple(scheme for scheme, types in known.items() if types["y"] in targets)


def _family(
    targets: tuple[str, ...],
    own: Mapping[str, tuple[AxisValue, ...]],
    spec: Mapping[str, AxisValue | None],
    *equal: Equal,
) -> Arithmetic:
    schemes = _schemes(*targets)
    rounds = {} if "e8m0" in own else {"rounding": _ROUNDING}
    axes = {**rounds, "via": ("direct", "via_f32"), **own}
    narrow = tuple(s for s in schemes if s.startswith(("f32", "f16")))
    same = Equal("via", ("direct", "via_f32"), "a float32 is a float32", narrow)
    first = {"rounding": "half_even"} if rounds else {}
    return Arithmetic(
        op="cast",
        schemes=schemes,
        axes=MappingProxyType(axes),
        spec=MappingProxyType({**first, "via": "direct", **spec}),
        clause=_CLAUSE,
        compute=computed,
        exact=_exact,
        probes=probes,
        element=_element,
        relevant=_relevant_of(axes),
        equal=(same, *equal),
    )


_OCP = ("float8_e4m3fn", "float8_e5m2")
_FNUZ = ("float8_e4m3fnuz", "float8_e5m2fnuz")
_WIDE = ("bfloat16", "float16")
_TINY = ("float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn")
_E8M0 = ("float8_e8m0fnu",)
_NO_SIGN = (
    ("integers have no NaN", ("i64_bf16",)),
    ("any two NaN of a float dtype count as one", ("f32_f16", "f64_f16")),
)
_NAN_SIGN = ("kept", "dropped", "all_ones")
_BECOMES = ("opposite_zero", "zero", "negative_zero", "max", "error")
_E4M3 = _schemes("float8_e4m3fn")

CASTS = (
    _family(
        _OCP,
        {
            **{"fp_overflow": _POLICIES, "infinity": _POLICIES},
            "nan_sign": _NAN_SIGN,
        },
        {"fp_overflow": "saturate", "infinity": "saturate", "nan_sign": None},
        Equal("fp_overflow", ("ieee", "nan"), "it has no infinity", _E4M3),
        Equal("infinity", ("ieee", "nan"), "it has no infinity", _E4M3),
    ),
    _family(
        _FNUZ,
        {"fp_overflow": ("saturate", "nan"), "fnuz_infinity": ("nan", "saturate")},
        {"fp_overflow": "saturate", "fnuz_infinity": "nan"},
    ),
    _family(
        _WIDE,
        {"nan_sign": _NAN_SIGN},
        {"nan_sign": None},
        *(
            Equal("nan_sign", pair, reason, schemes)
            for pair in combinations(_NAN_SIGN, 2)
            for reason, schemes in _NO_SIGN
        ),
    ),
    _family(_TINY, {"nan_becomes": _BECOMES}, {"nan_becomes": None}),
    _family(
        _E8M0,
        {
            "e8m0": ("ceil", "floor", "half_up_cast", "half_down", "even_code", "nearest_log2"),
            "fp_overflow": ("saturate", "nan"),
            "infinity": ("saturate", "nan"),
            "of_zero": ("nan", "lowest"),
            "of_negative": ("nan", "lowest", "absolute"),
        },
        {
            **{"e8m0": "ceil", "fp_overflow": "saturate", "infinity": "saturate"},
            **{"of_zero": None, "of_negative": None},
        },
        Equal("fp_overflow", ("saturate", "nan"), "float16 ends at 2^16", ("f16_e8m0fnu",)),
    ),
)
"""The families of targets."""
