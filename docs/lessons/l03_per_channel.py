r"""
Lesson 3: with a ruler for each channel, one wild channel spoils only itself
============================================================================

A weight matrix has one row for each output channel, and rows differ in size, often by 100.
One scale for all is the scale of the largest. Give each row its own:

.. math:: s_c = \frac{\max_k |w_{ck}|}{127}, \qquad q_{ck} = \mathrm{round}(w_{ck} / s_c)

It costs nothing at run time: :math:`\sum_k x_k\, s_c\, q_{ck} = s_c \sum_k x_k q_{ck}`, the scale
leaves the sum, and each output channel is rescaled by its own number instead of a common one.
"""

# %%
# 64 channels whose sizes span three orders of magnitude.
import matplotlib.pyplot as plt
import numpy as np

from refquant.contracts import preset
from refquant.formats.affine import QParams, choose_qparams, fake_quantize
from refquant.numerics.blocks import per_channel, per_tensor, reduce_blocks

onnx = preset("onnx")
rng = np.random.default_rng(0)
sizes = np.geomspace(0.01, 10, 64)[:, None]  # (64, 1)
w = (sizes * rng.standard_normal((64, 256))).astype(np.float32)  # (64, 256)

# %%
# A granularity is nothing but the shape of the block of elements that share a scale.
# The same three lines serve the tensor, (64, 256), and the channel, (1, 256).


def rulers(block: tuple[int, ...]) -> QParams:
    """One int8 scale for each block, from its extremes."""
    lo, hi = reduce_blocks(w, block, "min"), reduce_blocks(w, block, "max")
    return choose_qparams(lo, hi, dtype="int8", symmetric=True, contract=onnx, block_shape=block)


one = rulers(per_tensor(w.shape))
each = rulers(per_channel(w.shape, 0))
print("scales:", one.scale.shape, "and", each.scale.shape)

# %%
# No channel's ruler got coarser, for no channel has a larger extreme than the tensor.
assert (each.scale <= one.scale).all(), "a channel's step is at most the tensor's"


def relative_error(p: QParams) -> np.ndarray:
    """Root mean square error of each channel over its root mean square."""
    error = (fake_quantize(w, p, contract=onnx) - w).astype(np.float64)
    return np.sqrt(np.mean(error**2, axis=1) / np.mean(w.astype(np.float64) ** 2, axis=1))


shared, own = relative_error(one), relative_error(each)
print(f"smallest channel: {shared[0]:.1%} with one scale, {own[0]:.1%} with its own")
assert shared[0] == 1, "with one scale the smallest channel is rounded away: all its codes are 0"
assert own.max() < 0.01, "with its own scale every channel keeps its numbers within 1 %"

# %%
# Activations have no such luck: their channels are what the sum runs over, so a scale for each
# would not leave the sum. They get one scale for a tensor, or one for each token (row).
fig, ax = plt.subplots()
ax.loglog(sizes[:, 0], shared, "o-", label="one scale")
ax.loglog(sizes[:, 0], own, "o-", label="one scale for each channel")
ax.set(xlabel="size of the channel", ylabel="relative error", title="int8 weights")
ax.legend()
plt.show()
