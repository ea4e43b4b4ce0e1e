r"""
Lesson 1: on a ruler with integer marks, no error exceeds half a step
=====================================================================

Eight bits are 256 codes. Put them as marks on a ruler, a distance :math:`s` apart (the *scale*),
and write every number down as the nearest mark:

.. math:: q = \mathrm{clamp}(\mathrm{round}(x / s),\ q_{min},\ q_{max}), \qquad \hat x = s\,q

How wrong can :math:`\hat x` be?
"""

# %%
# We take 4 bits, to see the marks: codes -8 to 7. The scale is 1/4: a ruler from -2 to 1.75.
# A power of two makes all float32 arithmetic below exact; nothing is hidden in a tolerance.
import matplotlib.pyplot as plt
import numpy as np

from refquant.contracts import preset
from refquant.formats.affine import QParams, dequantize, quantize

scale = np.float32(0.25)
ruler = QParams(scale, np.int32(0), None, "int4")
x = np.arange(-3 * 512, 3 * 512 + 1, dtype=np.float32) / 512

q = quantize(x, ruler, contract=preset("onnx"))
x_hat = dequantize(q, ruler)
print("codes:", sorted(set(q.tolist())))

# %%
# Where the ruler reaches, from half a step below its first mark to half a step above its last,
# the error is at most half a step. That is what rounding means, and it is the whole guarantee.
error = np.abs(x_hat - x)
first, last = np.float32(-8) * scale, np.float32(7) * scale
inside = (x >= first - scale / 2) & (x <= last + scale / 2)
assert error[inside].max() == scale / 2, "half a step, and it is reached: at the ties"
assert (error[~inside] > scale / 2).all(), "beyond the ruler there is no bound"

# %%
# Beyond the ends everything becomes the last mark (*saturation*), and the error grows with x.
# So a range is a choice: a longer ruler clips less, and its marks are further apart.
#
# Inside, errors are spread evenly over [-s/2, s/2]. Their mean square is
# :math:`\frac1s \int_{-s/2}^{s/2} t^2\,dt = s^2/12`, the number by which people compare rulers.
# Our samples have 128 points a step; the sum over them has the closed form below.
step = 128  # samples between two marks
whole = (x >= first) & (x < last)
mean_square = np.mean(error[whole].astype(np.float64) ** 2)
assert mean_square == scale**2 / 12 * (1 + 2 / step**2), "s^2/12, and the sum's own remainder"
print("mean square error / (s^2/12):", mean_square / (scale**2 / 12))

# %%
# One bit more halves the step: a quarter of the mean square error, or 6 dB.
fig, ax = plt.subplots()
ax.plot(x, x_hat - x)
ax.axhspan(-scale / 2, scale / 2, alpha=0.2, label="half a step")
ax.set(xlabel="x", ylabel="dequantize(quantize(x)) - x", title="Sawtooth inside, unbounded outside")
ax.legend()
plt.show()
