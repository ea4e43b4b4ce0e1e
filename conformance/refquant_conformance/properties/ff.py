"""FF: what must hold of small floats; one file a kind.

==================  ==================================================================
``ff_codes``        01, 02, 11: what codes mean, and that they survive a round trip
``ff_rounding``     03, 04, 08, 09, 14: which code is nearest, rounded once
``ff_specials``     05 to 07, 10, 13: overflow, infinities, NaN, zeros, scales
==================  ==================================================================

FF-12 (random rounding) speaks of an operator with random bits, which the catalogue does not have.
"""

from refquant_conformance.properties import ff_codes, ff_rounding, ff_specials

__all__ = ["KINDS"]

KINDS = (ff_codes, ff_rounding, ff_specials)
"""The files; importing them registers what they say."""
