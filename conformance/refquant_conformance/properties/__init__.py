"""Every property, by group: ids are stable, one sentence each, the clause cited.

====  ===========================================
QDQ   quantize and dequantize
QPS   choosing parameters
RQ    requantization
PK    packed codes
FF    small floats
BS    blocks that share scales
F     files
ACC   sums of products
OP    the other operators on codes
X     whatever the layout, the threads, the mode
====  ===========================================
"""

from refquant_conformance.properties import (
    acc,
    acc_laws,
    acc_weights,
    bs,
    bs_codebooks,
    bs_methods,
    bs_products,
    claims,
    ff,
    ff_stochastic,
    files,
    files_contents,
    files_paths,
    files_readers,
    layouts,
    many,
    op,
    op_functions,
    op_movement,
    op_norm,
    op_recurrent,
    pk,
    pk_layers,
    qdq,
    qps,
    qps_observers,
    rq,
    rq_wide,
    saves,
    settings,
)
from refquant_conformance.properties.registry import Property, registered

__all__ = ["PROPERTIES", "Property", "for_op"]

# Importing a group registers it.
_GROUPS = (
    qdq,
    qps,
    rq,
    acc,
    acc_laws,
    acc_weights,
    op,
    op_functions,
    op_movement,
    op_norm,
    op_recurrent,
    layouts,
    settings,
    claims,
    many,
    pk,
    ff,
    bs,
    files,
    bs_methods,
    bs_products,
    ff_stochastic,
    qps_observers,
    bs_codebooks,
    pk_layers,
    rq_wide,
    files_contents,
    files_paths,
    files_readers,
    saves,
)

PROPERTIES = registered()
"""Every property by id."""


def for_op(op: str) -> tuple[Property, ...]:
    """Return the properties that speak of an operator, in the order of their ids.

    >>> [p.id for p in for_op("quantize_linear")][:2]
    ['QDQ-02', 'QDQ-03']
    """
    return tuple(p for _, p in sorted(PROPERTIES.items()) if op in p.ops)
