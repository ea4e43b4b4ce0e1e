r"""The 32 polynomials by which NumPy evaluates the hyperbolic tangent of float32: a table of facts.

Each binade of :math:`|x| = 2^e (1 + f)` is cut into four pieces, and piece k has the polynomial

.. math::

    k = \min(\max(4 (e + 5) + \lfloor 4 f \rfloor - 2,\; 0),\; 31), \qquad
    y = |x| - b_k, \qquad
    \tanh |x| = c_{k0} + c_{k1} y + \dots + c_{k6} y^6    \tag{1}

The first piece is all that is below 7/128, the last all from 10 on, which is 1.

References
----------
NumPy 2.4.6, ``numpy/_core/src/umath/loops_hyperbolic.dispatch.cpp.src`` (from Intel's SVML).
"""

__all__ = ["TANH_PIECES"]

# b, c_0, ..., c_6 of one piece a line, as the bits of float32 numbers.
_BITS = """
    00000000 00000000 3f800000 b0343c7b beaaaaa5 b76dd6b9 3e0910e9 bc0e2f66
    3d700000 3d6fb9c9 3f7f1f84 bd6ee69d beab0612 be1c276d 43761143 460bda12
    3d900000 3d8fc35f 3f7ebd11 bd8f0da7 bea7f01f 3c1dcf2f 4165ecdc 43d638ef
    3db00000 3daf9169 3f7e1e5f bdae477d bea4e120 3dc1a78d c190f756 c3e11c3e
    3dd00000 3dcf49ab 3f7d609f bdcd2a1f bea387b7 3d96f985 c08c097d c2baa4e9
    3df00000 3deee849 3f7c842d bdeba80d bea15962 3da2b61b c02ba813 c249da2d
    3e100000 3e0f0ee8 3f7b00e5 be0c443b be9d57f7 3dc13397 bf7f6bda c1859b82
    3e300000 3e2e4984 3f789580 be293cf3 be976b5a 3dd2f670 3f2b1dc0 40dd5b57
    3e500000 3e4d2f8e 3f75b8ad be44f282 be90230d 3df48a0a 3ece105d 40494640
    3e700000 3e6bb32e 3f726fd9 be5f3651 be880dff 3e06c5a8 3f426a94 40c730a8
    3e900000 3e8c51cd 3f6cc59b be81c7c0 be7479b3 3e1a3aba badb0dc4 bf0f160e
    3eb00000 3ea96163 3f63fb92 be96d7ca be4c3d88 3e27c405 3da43b17 3e30e76f
    3ed00000 3ec543f1 3f59ff97 bea7fb8e be212482 3e2e78d0 bd51ab88 bea81387
    3ef00000 3edfd735 3f4f11d7 beb50e9e bdeb8cba 3e2c3e44 bcaea23d bdb26a1c
    3f100000 3f028438 3f3d7573 bec12efe bd5e78ad 3e1d3097 bd3b6d8d bd351e57
    3f300000 3f18abf0 3f24f360 bec4be92 3c6b5e6e 3df4a8f4 bd6caaad bb4c01a0
    3f500000 3f2bc480 3f0cbfe7 bebce070 3d839143 3da38508 bd795bed 3c1d7bfb
    3f700000 3f3bec1c 3eec1a69 bead510e 3dc21ee1 3d31416a bd5fddda 3c722cd1
    3f900000 3f4f2e5b 3eb0a801 be8ef7d6 3de347af 3b562657 bd038f3b 3c973f1c
    3fb00000 3f613c53 3e6753a2 be4b8704 3dcbec96 bcaeeac9 bc1cad63 3c33a31b
    3fd00000 3f6ce37d 3e132f1a be083237 3d99ef2d bcce9419 3abb4766 3b862ef4
    3ff00000 3f743c4f 3db7e7d3 bdaf7449 3d542ea1 bcaaeac4 3b95f10b 3a27b3d0
    40100000 3f7a5feb 3d320845 bd2e1ec4 3cdde701 bc49e7d0 3b825873 ba3b5907
    40300000 3f7dea85 3c84d3d4 bc83bf06 3c2cca67 bba71ddd 3afaea66 ba0efc22
    40500000 3f7f3b3d 3bc477b7 bbc3e0b5 3b81cb27 bb003b0e 3a49f878 b97f9f0f
    40700000 3f7fb78c 3b10d3da bb10aadc 3ac073a1 ba3f9a05 39996bf3 b8c8af50
    40900000 3f7fefd4 3a01601e ba0157db 39ac3032 b92c08a7 388f3e6c b7bdddfb
    40b00000 3f7ffdd0 388c1a3b b88c18f2 383a94d9 b7ba9232 371bb0e3 b64f2950
    40d00000 3f7fffb4 3717b0da b717b096 36ca081d b64a0b0f 35a8a5e6 b4e085b1
    40f00000 3f7ffff6 35a43bce b5a43bae 355abd4c b4dac169 34369b17 b3731dfa
    41100000 3f7fffff 338306c6 b383012c 332b3cb6 b2ab78ac 322487b0 b15a1f04
    00000000 3f800000 00000000 00000000 00000000 00000000 00000000 00000000
"""

TANH_PIECES: tuple[tuple[int, ...], ...] = tuple(
    tuple(int(word, 16) for word in line.split()) for line in _BITS.strip().splitlines()
)
"""By piece k of eq. (1): the bits of b, then those of the coefficients from the constant on."""
