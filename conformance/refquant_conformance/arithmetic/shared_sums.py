"""The exact sums of a case, kept for the choices that differ in what follows them.

A product of codes has a dozen choices of how its sums become codes again, and few of how they are
added. Who strikes out choices asks for the same sums again and again.
"""

from collections import OrderedDict
from collections.abc import Callable

from refquant.contracts.axes import AxisValue
from refquant_conformance.protocol import Array, Case

__all__ = ["shared_sums"]

_MOST = 64
_kept: "OrderedDict[tuple[object, ...], tuple[tuple[Array, ...], Array | None]]" = OrderedDict()


def shared_sums(
    case: Case, accumulator: AxisValue, make: Callable[[Case, AxisValue], Array | None]
) -> Array | None:
    """Return ``make(case, accumulator)``, or what it returned for the same arrays; it is read-only.

    Scales are no part of a sum. The arrays are kept with it, so that no other has their identity.

    >>> import numpy as np
    >>> case = Case("matmul_integer", "u8_u8", {"a": np.ones(2)})
    >>> add = lambda case, _: case.inputs["a"] + 1
    >>> made = [shared_sums(case, "int32_wrap", add) for _ in "12"]
    >>> made[0] is made[1]
    True
    """
    named = [(n, a) for n, a in sorted(case.inputs.items()) if not n.endswith("_scale")]
    same = tuple((name, id(array)) for name, array in named)
    what = (case.op, accumulator, *sorted(case.types.items()), *sorted(case.params.items()))
    key = (make, *what, *same)
    if key not in _kept:
        sums = make(case, accumulator)
        if sums is not None:
            sums.flags.writeable = False
        _kept[key] = tuple(array for _, array in named), sums
        if len(_kept) > _MOST:
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    return _kept[key][1]
