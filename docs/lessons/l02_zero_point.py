r"""
Lesson 2: a zero point halves the step of one-sided data, and keeps zero exact
===============================================================================

After a ReLU no number is negative. A ruler with zero in its middle spends half of its codes on
numbers that never come. Slide it: let the code :math:`z`, the *zero point*, mean 0.0.

.. math:: \hat x = s\,(q - z), \qquad s = \frac{hi - lo}{q_{max} - q_{min}}, \qquad
          z = \mathrm{round}(q_{min} - lo / s)
"""

# %%
# Two rulers for the same data: *symmetric* (z in the middle) and *asymmetric*.
import matplotlib.pyplot as plt
import numpy as np

from refquant.contracts import preset
from refquant.formats.affine import choose_qparams, fake_quantize

onnx = preset("onnx")
rng = np.random.default_rng(0)
x = np.maximum(rng.standard_normal(100_000), 0).astype(np.float32)
lo, hi = x.min(), x.max()

middle = choose_qparams(lo, hi, dtype="int8", symmetric=True, contract=onnx)
slid = choose_qparams(lo, hi, dtype="int8", symmetric=False, contract=onnx)
for name, p in (("symmetric", middle), ("asymmetric", slid)):
    print(f"{name:10} scale {float(p.scale):.6f}  zero point {int(p.zero_point)}")

# %%
# 127 steps against 255 over the same range. The two divisions round to float32 once each,
# so the ratio is 255/127 within two units in the last place.
ratio = float(middle.scale) / float(slid.scale)
assert abs(ratio - 255 / 127) <= 2 * 2.0**-23, "the step is halved (255/127 = 2.008)"
assert int(slid.zero_point) == -128, "zero is the first code"

# %%
# The mean square error follows the square of the step: a factor of 4, 6 dB, one bit.
# (The zeros of the ReLU, half of the data, are exact on both rulers.)
errors = [fake_quantize(x, p, contract=onnx) - x for p in (middle, slid)]
before, after = (float(np.mean(e.astype(np.float64) ** 2)) for e in errors)
assert 3.8 < before / after < 4.2, "a bit for nothing"
print("mean square error falls by a factor of", round(before / after, 2))

# %%
# Why is z an integer? Because then 0.0 is a mark: it goes through quantization unchanged, on any
# range. Networks are full of zeros (ReLU, padding), and an error there would be a bias everywhere.
zero = np.zeros(1, np.float32)
for low in -np.geomspace(0.001, 1000, 50).astype(np.float32):
    p = choose_qparams(low, np.float32(1), dtype="int8", symmetric=False, contract=onnx)
    assert fake_quantize(zero, p, contract=onnx)[0] == 0, "zero is exact"

# %%
# The price: integer products need (q - z), not q. For weights, which are two-sided anyway, one
# therefore takes z = 0; for activations the zero point folds into the bias.
fig, ax = plt.subplots()
bins = np.linspace(-0.025, 0.025, 101)
ax.hist(errors[0][x > 0], bins, alpha=0.6, label="symmetric")
ax.hist(errors[1][x > 0], bins, alpha=0.6, label="asymmetric")
ax.set(xlabel="error of the positive elements", ylabel="elements", title="Twice as many marks")
ax.legend()
plt.show()
