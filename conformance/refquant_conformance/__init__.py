"""The judge: an exact oracle of quantized arithmetic, and inputs that find rounding bugs.

To say which arithmetic a quantized backend implements comes with a later version.

Read ``rational`` (rounding, from its definition), then ``oracle`` (what a contract's words mean, in
integers and fractions), then ``strategies`` (inputs that find rounding bugs).
"""
