"""The judge: say which arithmetic a quantized backend implements, and prove it.

Read ``protocol`` (what a backend is), ``arithmetic.base`` (what it is held against), ``identify``
(which contract explains its answers), ``properties`` (what must hold), ``judge`` (all of it). The
exact numbers come from ``rational`` and ``oracle``, the inputs that find bugs from ``strategies``.
"""
