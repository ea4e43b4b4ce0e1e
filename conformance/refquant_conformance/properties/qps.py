"""QPS: what must hold of parameters chosen from data; one file a kind.

====================  ==============================================================
``qps_ranges``        01 to 08: what a range must give, and ranges that are none
``qps_laws``          09 to 13: order, scaling, formulas, composition, sign
====================  ==============================================================

QPS-14 speaks of observers that look for a narrower range than that of the data; no operator of the
catalogue says which observer is asked.
"""

from refquant_conformance.properties import qps_laws, qps_ranges

__all__ = ["KINDS"]

KINDS = (qps_ranges, qps_laws)
"""The files; importing them registers what they say."""
