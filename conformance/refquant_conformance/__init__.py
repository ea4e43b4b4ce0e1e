"""The judge, which says what arithmetic a quantized backend implements.

Read ``rational`` (rounding, from its definition), then ``oracle`` (what a contract's words mean, in
integers and fractions), then ``strategies`` (inputs that find rounding bugs).
"""
