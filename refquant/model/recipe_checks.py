"""What every part of a recipe asks of its keys and values: that they are known, and say so if not.

An error names the key, what was got, and what is allowed: a recipe with a typing error must not
quietly become another recipe.
"""

import sys
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

__all__ = ["check_choice", "check_count", "check_flag", "check_number", "check_value",
           "field_names", "known_keys", "listed", "real"]  # fmt: skip


def field_names(kind: Any) -> tuple[str, ...]:
    """Return the keys of a dataclass.

    >>> from refquant.model.graph import Dtype
    >>> field_names(Dtype)
    ('bits', 'qmin', 'qmax', 'container')
    """
    return tuple(item.name for item in fields(kind))


def known_keys(where: str, table: object, allowed: Collection[str]) -> None:
    """Refuse what is no table, and a key that is not ``allowed``.

    >>> known_keys("weights", {"bit": 8}, ["bits"])
    Traceback (most recent call last):
    ValueError: weights: unknown key 'bit' (value 8); allowed: 'bits'
    """
    if not isinstance(table, Mapping):
        raise ValueError(f"{where}: a table, got {table!r}")
    for key, value in table.items():
        if key not in allowed:
            raise ValueError(
                f"{where}: unknown key {key!r} (value {value!r}); allowed: {listed(allowed)}"
            )


def check_value(where: str, value: object, allowed: Collection[Any]) -> None:
    """Refuse a value that is not ``allowed``, in value and in type.

    >>> check_value("weights.symmetric", 1, (False, True))
    Traceback (most recent call last):
    ValueError: weights.symmetric: unknown value 1; allowed: False, True
    """
    # subtle: 1 == True, so membership alone would let the integer 1 pass for a bool.
    if value not in allowed or type(value) not in {type(item) for item in allowed}:
        raise ValueError(f"{where}: unknown value {value!r}; allowed: {listed(allowed)}")


def listed(allowed: Collection[Any]) -> str:
    """Return the values as an error lists them.

    >>> listed((8, 4))
    '8, 4'
    """
    return ", ".join(repr(item) for item in allowed)


def check_flag(key: str, value: object) -> None:
    """Refuse what is not true or false; here and below ``key`` is one of ``[weights]``.

    >>> check_flag("gptq.act_order", 1)
    Traceback (most recent call last):
    ValueError: weights.gptq.act_order: true or false, got 1
    """
    if type(value) is not bool:
        raise ValueError(f"weights.{key}: true or false, got {value!r}")


def check_choice(key: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse what is not one of ``allowed``.

    >>> check_choice("hqq.keep", "first", ("last", "best"))
    Traceback (most recent call last):
    ValueError: weights.hqq.keep: unknown value 'first'; allowed: 'last', 'best'
    """
    if value not in allowed:
        known = ", ".join(map(repr, allowed))
        raise ValueError(f"weights.{key}: unknown value {value!r}; allowed: {known}")


def check_count(key: str, value: object) -> None:
    """Refuse what is no integer of at least 1.

    >>> check_count("hqq.iters", 0)
    Traceback (most recent call last):
    ValueError: weights.hqq.iters: an integer >= 1, got 0
    """
    if type(value) is not int or value < 1:
        raise ValueError(f"weights.{key}: an integer >= 1, got {value!r}")


def check_number(key: str, value: object, good: bool, rule: str) -> None:
    """Refuse ``value`` unless it is ``good``, a number by ``rule``.

    >>> check_number("gptq.damp", "much", False, "from 0 to below 1")
    Traceback (most recent call last):
    ValueError: weights.gptq.damp: a number from 0 to below 1, got 'much'
    """
    if not good:
        raise ValueError(f"weights.{key}: {f'a number {rule}'.strip()}, got {value!r}")


def real(value: object) -> float:
    """Return a number, NaN for what is none: every comparison with it fails.

    So does an integer that no float holds.

    >>> real(2), real(True), real(10**400)
    (2.0, nan, nan)
    """
    if type(value) is int and abs(value) > sys.float_info.max:
        return float("nan")
    return float(value) if type(value) in (int, float) else float("nan")  # type: ignore[arg-type]  # checked
