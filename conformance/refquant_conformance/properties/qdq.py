"""QDQ: what must hold of quantizers, whatever else a backend does; one file a kind.

==================  ==================================================================
``qdq_codes``       01, 23: what codes mean
``qdq_rounding``    02 to 07, 21: ties, quotients, zero points, what lies beyond
``qdq_specials``    08 to 11: NaN, zeros, subnormal numbers, scales that are none
``qdq_laws``        12 to 18: monotone, fixed points, errors, symmetries
``qdq_forms``       19, 20, 22: finer scales, float16, absent zero points
==================  ==================================================================
"""

from refquant_conformance.properties import (
    qdq_codes,
    qdq_forms,
    qdq_laws,
    qdq_rounding,
    qdq_specials,
)

__all__ = ["KINDS"]

KINDS = (qdq_codes, qdq_rounding, qdq_specials, qdq_laws, qdq_forms)
"""The files; importing them registers what they say."""
