"""A small file of vectors for the tests: the first tests of one operator."""

from functools import cache

from refquant_conformance.vectors.generate import generate
from refquant_conformance.wire import dumps

OP = "dynamic_quantize_linear"


@cache
def small() -> bytes:
    """Return a file with the first group of an operator, cut to a few tests."""
    made = generate(OP)
    group = made["testGroups"][0]
    tests = group["tests"][:4]
    kept = [{**group, "tests": tests}]
    return dumps({**made, "numberOfTests": len(tests), "testGroups": kept}).encode()
