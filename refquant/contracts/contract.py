r"""A contract: the arithmetic of a quantized model, written down.

Two backends that quantize "the same model" rarely compute the same numbers, and hardly ever
because one of them is wrong. Each implements a different arithmetic: one divides by the scale,
another multiplies by its reciprocal; one adds the zero point after rounding, another before. Every
such choice is an **axis**, every alternative a **value**, a contract one value for each axis:

.. math::

    q = \operatorname{saturate}(\operatorname{round}(x \oslash s) \oplus z)                 \tag{1}

where :math:`\oslash` is ``scale_op``, round is ``rounding``, z is what ``zero_point`` says,
:math:`\oplus` is placed by ``zero_point_at`` and saturate is described by ``clamp``, ``overflow``
and ``nan``. The axes ``weight_range`` to ``zero_point_dtype`` say how :math:`s` and :math:`z` are
chosen from data, the axes ``accumulator`` to ``softmax`` what integer operators do.

A contract is data: frozen, hashable, and JSON in a model file. Nothing is left to a default.

References
----------
``docs/spec/operators.md`` sections 2 and 4 (what each value computes);
``docs/concepts/contracts.md`` (one sentence for each value, and who computes so).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from refquant.contracts.axes import AXES, AxisValue, contradiction

__all__ = ["AXES", "Contract"]

_SMALLEST_NORMAL = 2.0**-126
_LARGEST_FLOAT32 = (2.0 - 2.0**-23) * 2.0**127


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One value for each axis, and the name under which a file or a report mentions it.

    Every field is required: an arithmetic with a default is an arithmetic nobody chose.
    ``ValueError`` names the axis, the value and the allowed values.
    Two contracts with the same axes and different names are different values; compare
    ``to_json()`` to ask whether they compute the same.

    >>> from refquant.contracts import preset
    >>> preset("onnx").rounding, preset("tflite_reference").rounding
    ('half_even', 'half_away')
    """

    name: str
    rounding: str
    scale_op: str
    zero_point: str
    zero_point_at: str
    clamp: str
    overflow: str
    nan: str
    weight_range: str
    symmetric_scale: str
    asymmetric_scale: str
    negative_scale: bool
    range_includes_zero: bool
    small_range: str
    zero_range_scale: float
    parameter_dtype: str
    inverse: str
    scale_dtype: str
    zero_point_from: str
    zero_point_rounding: str
    zero_point_dtype: str
    accumulator: str
    requantize: str
    add: str
    average_pool: str
    mean: str
    softmax: str

    def __post_init__(self) -> None:
        """Refuse what is no arithmetic."""
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"a contract's name must be a string, not empty; got {self.name!r}")
        for axis, allowed in AXES.items():
            _check_closed(axis, getattr(self, axis), allowed)
        # JSON has one kind of number, so 1 and 1.0 are the same value; after this line also here.
        object.__setattr__(self, "zero_range_scale", _number(self.zero_range_scale))
        if broken := contradiction(self.to_json()):
            raise ValueError(broken)

    def to_json(self) -> dict[str, AxisValue]:
        """Return the axes by name, sorted, without ``name``: the value of ``contracts`` in a file.

        >>> from refquant.contracts import preset
        >>> list(preset("onnx").to_json())[:3]
        ['accumulator', 'add', 'asymmetric_scale']
        """
        axes: dict[str, AxisValue] = asdict(self)
        del axes["name"]
        return dict(sorted(axes.items()))

    @staticmethod
    def from_json(name: str, axes: Mapping[str, object]) -> "Contract":
        """Return the contract of that name and those axes: the inverse of ``to_json``.

        Strict, because a file that says something we do not understand must not be computed:
        an unknown axis, a missing axis, an unknown value or a value of the wrong type is a
        ``ValueError`` that names the axis, the value and the allowed values.

        >>> from refquant.contracts import preset
        >>> Contract.from_json("mine", {**preset("onnx").to_json(), "rounding": "nearest"})
        Traceback (most recent call last):
        ...
        ValueError: axis 'rounding': unknown value 'nearest'; allowed: 'half_even', 'half_away', \
'half_up', 'half_down', 'toward_zero', 'floor', 'ceil'
        """
        if not isinstance(axes, Mapping):
            raise ValueError(f"contract {name!r}: axes must be an object, got {axes!r}")
        known = {field.name for field in fields(Contract)} - {"name"}
        for axis in axes:
            if axis not in known:
                raise ValueError(
                    f"contract {name!r}: unknown axis {axis!r} (value {axes[axis]!r}); "
                    f"the axes are {', '.join(sorted(known))}"
                )
        for axis in sorted(known):
            if axis not in axes:
                raise ValueError(
                    f"contract {name!r}: axis {axis!r} is missing; allowed: {_allowed(axis)}"
                )
        return Contract(name=name, **axes)  # type: ignore[arg-type]  # __post_init__ checks them


def _allowed(axis: str) -> str:
    """Say which values ``axis`` may take."""
    if axis in AXES:
        return ", ".join(repr(value) for value in AXES[axis])
    return "a positive normal float32 number"


def _check_closed(axis: str, value: object, allowed: tuple[str | bool, ...]) -> None:
    """Refuse a value that is not one of ``allowed``, in value and in type."""
    # subtle: 1 == True, so membership alone would let the integer 1 pass for a bool.
    if type(value) is not type(allowed[0]):
        kind = type(allowed[0]).__name__
        raise ValueError(
            f"axis {axis!r}: must be a {kind}, got {value!r}; allowed: {_allowed(axis)}"
        )
    if value not in allowed:
        raise ValueError(f"axis {axis!r}: unknown value {value!r}; allowed: {_allowed(axis)}")


def _number(value: object) -> float:
    """Return ``zero_range_scale`` as a float if it can be the scale of a tensor."""
    rule = f"axis 'zero_range_scale': must be {_allowed('zero_range_scale')}, got {value!r}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(rule)
    if not _SMALLEST_NORMAL <= value <= _LARGEST_FLOAT32:  # also refuses NaN
        raise ValueError(rule)
    mantissa, _ = math.frexp(value)
    if (mantissa * 2**24) % 1 != 0:
        raise ValueError(f"{rule}, which float32 cannot hold")
    return float(value)
