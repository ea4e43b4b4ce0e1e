r"""
Lesson 4: smaller groups buy accuracy with scales, and 128 at 4 bits cost an eighth of a bit
============================================================================================

At 4 bits even a row is too long: one outlier among 4096 weights sets the step for all of them.
Cut the row into groups of :math:`g` neighbours with a scale each. Storage is then

.. math:: \text{bits a weight} = b + \frac{\text{bits of a scale}}{g}

and with 16-bit scales (we only count them so; the scales below are float32) g = 128 costs 1/8 bit.
"""

# %%
# Weights with heavy tails, Student's t with 5 degrees of freedom, as trained ones often have.
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from refquant.contracts import preset
from refquant.formats.affine import choose_qparams, fake_quantize
from refquant.numerics.blocks import per_group, reduce_blocks

onnx = preset("onnx")
rng = np.random.default_rng(0)
w = rng.standard_t(5, (64, 4096)).astype(np.float32)


def group_steps(dtype: str, group_size: int) -> tuple[np.ndarray, float]:
    """The scales of groups along the rows, and the relative mean square error."""
    block = per_group(w.shape, 1, group_size)
    lo, hi = reduce_blocks(w, block, "min"), reduce_blocks(w, block, "max")
    p = choose_qparams(lo, hi, dtype=dtype, symmetric=True, contract=onnx, block_shape=block)
    error = (fake_quantize(w, p, contract=onnx) - w).astype(np.float64)
    return np.asarray(p.scale), float(np.mean(error**2) / np.mean(w.astype(np.float64) ** 2))


# %%
# Halve the groups again and again. A group's extreme is at most that of the group it was cut from,
# so steps only shrink, whatever the data; the error follows.
sizes = [4096, 2048, 1024, 512, 256, 128, 64, 32, 16]
steps, errors = zip(*(group_steps("int4", g) for g in sizes), strict=True)
for coarse, fine in pairwise(steps):
    assert (fine <= np.repeat(coarse, 2, axis=1)).all(), "no step grows when a group is cut"
assert list(errors) == sorted(errors, reverse=True), "the error falls each time"

bits = [4 + 16 / g for g in sizes]
assert bits[sizes.index(128)] == 4.125, "an eighth of a bit"
for g, b, e in zip(sizes, bits, errors, strict=True):
    print(f"group {g:4}  {b:6.3f} bits  {-10 * np.log10(e):5.1f} dB")

# %%
# Is that a good trade? Compare with the honest alternative: spend bits on the codes. A fifth bit
# gives 6 dB for 1 bit. Groups of 128 give about as much for an eighth of it.
_, five_bits = group_steps("int5", 4096)
assert errors[sizes.index(128)] < 1.2 * five_bits, "an eighth of a bit does the work of a whole one"

# %%
# Unlike a channel's, a group's scale does not leave the sum over the row: a kernel sums each group
# in integers, then rescales. Groups of 32 to 128 keep that cheap.
fig, ax = plt.subplots()
ax.plot(bits, [-10 * np.log10(e) for e in errors], "o-", label="4 bits, groups")
ax.plot([5 + 16 / 4096], [-10 * np.log10(five_bits)], "s", label="5 bits, whole rows")
ax.set(xlabel="bits a weight", ylabel="signal to noise (dB)", title="Groups against bits")
ax.legend()
plt.show()
