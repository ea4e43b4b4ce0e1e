"""BS-09: codes of a codebook next to, and at, the places where one level ends.

References
----------
bitsandbytes ``csrc/kernels.cu`` (``dQuantizeNF4``, ``dQuantizeFP4``).
"""

import numpy as np

from refquant_conformance.arithmetic.codebooks import codebook_case, cuts_of
from refquant_conformance.properties.registry import prop
from refquant_conformance.trial import Trial

__all__: list[str] = []


@prop("BS-09", "codebook_midpoints", ops=("codebook_quantize",), catches="2.6 (bnb)",
      clause="QLoRA appendix E: the nearest level")  # fmt: skip
def midpoints(trial: Trial) -> None:
    """At every end of a level, and one float beside it, the code is the contract's."""
    cuts = cuts_of(trial.scheme)
    beside = [np.nextafter(cuts, np.float32(way)) for way in (-2, 2)]
    rows = np.resize(np.concatenate([cuts, *beside, -cuts]), (4, 63)).astype(np.float32)
    ones = np.insert(rows, 0, 1, axis=1)
    # Magnitudes that are powers of two keep the quotient; 1/3 rounds it.
    factors = np.array([1.0, -0.25, 2.0**20, 1 / 3], np.float32)
    trial.expect(*(codebook_case(trial.scheme, (ones * f).reshape(-1)) for f in factors))
