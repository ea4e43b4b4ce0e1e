"""Another arithmetic than the declared one, where it takes the inputs; else the honest one."""

import numpy as np

from refquant_conformance.arithmetic.pool_probes import unary_case
from refquant_conformance.mutants.otherwise import Otherwise
from refquant_conformance.protocol import Case, Result

HONEST = Result({"y": np.zeros(1, np.uint8)})


def _honest(case: Case) -> Result:
    return HONEST


def test_it_computes_by_other_axes_or_honestly_where_they_refuse() -> None:
    x, equal = np.full((1, 1, 1, 2), 9), ((1.0, 0), (1.0, 0))
    window = {"kernel": (1, 2), "strides": (1, 1), "pads": (0, 0, 0, 0)}
    case = unary_case("qlinear_average_pool", "u8", x, equal, **window)
    other = Otherwise(average_pool="half_away")
    assert other(case, _honest).outputs["y"].tolist() == [[[[9]]]], "not by the other axes"
    unlike = unary_case("qlinear_average_pool", "u8", x, ((1.0, 0), (2.0, 0)), **window)
    assert other(unlike, _honest) is HONEST, "half_away has equal parameters of both ends"
