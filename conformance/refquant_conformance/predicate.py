"""Conditions of a deviation: ``zero_point % 2 == 1``, as data, without running anybody's code.

Names are the parameters of a case, and its inputs of one element. The grammar is that of Python
expressions, cut down to numbers, strings, None, comparisons, ``and or not in`` and
``+ - * // %``; everything else is refused when the file is read.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from refquant_conformance.protocol import Case

__all__ = ["Predicate", "parse"]

Predicate = Callable[[Case], bool]

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Mod: operator.mod,
    ast.FloorDiv: operator.floordiv,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_KNOWN = frozenset(
    (
        *(ast.Expression, ast.Compare, ast.BinOp, ast.BoolOp, ast.UnaryOp, ast.Name, ast.Constant),
        *(ast.Tuple, ast.Load, ast.And, ast.Or, ast.Not, ast.USub, *_BINARY, *_COMPARE),
    )
)


def parse(text: str) -> Predicate:
    """Return the condition as a function of a case; ``ValueError`` for what is no condition.

    A name that a case does not have makes the condition false for that case.

    >>> import numpy as np
    >>> odd = parse("zero_point % 2 == 1")
    >>> odd(Case("quantize_linear", "f32_u8", {"zero_point": np.uint8(3)}))
    True
    >>> parse("open('x')")
    Traceback (most recent call last):
    ...
    ValueError: a condition cannot hold Call: "open('x')"
    """
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"no condition: {text!r}: {error.msg}") from None
    for node in ast.walk(tree):
        if type(node) not in _KNOWN:
            raise ValueError(f"a condition cannot hold {type(node).__name__}: {text!r}")

    return _Condition(tree.body)


@dataclass(frozen=True, slots=True)
class _Condition:
    """A condition that travels between processes, which a function in a function does not."""

    body: ast.expr

    def __call__(self, case: Case) -> bool:
        try:
            return bool(_value(self.body, _names(case)))
        except (KeyError, TypeError, ZeroDivisionError):
            return False


def _names(case: Case) -> dict[str, Any]:
    single = {name: array.item() for name, array in case.inputs.items() if array.size == 1}
    return {**single, **case.params, "op": case.op, "scheme": case.scheme}


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.Tuple):
        return tuple(_value(part, names) for part in node.elts)
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)](_value(node.left, names), _value(node.right, names))
    if isinstance(node, ast.UnaryOp):
        inner = _value(node.operand, names)
        return not inner if isinstance(node.op, ast.Not) else -inner
    if isinstance(node, ast.BoolOp):
        every = isinstance(node.op, ast.And)
        values = (_value(part, names) for part in node.values)
        return all(values) if every else any(values)
    if isinstance(node, ast.Compare):
        left = _value(node.left, names)
        for compare, right_node in zip(node.ops, node.comparators, strict=True):
            right = _value(right_node, names)
            if not _COMPARE[type(compare)](left, right):
                return False
            left = right
        return True
    raise TypeError(f"no value: {type(node).__name__}")
