"""The settings of the algorithms that choose a weight's codes: ``[weights.gptq]`` and its like.

``weights.algorithm`` names one of `ALGORITHMS`; a table of that name holds what it can be told, all
of it optional. A key that means nothing, a value that the algorithm refuses, and a table of another
algorithm are errors that name the key. The defaults are the authors' own, but where the docstring
says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from refquant.algorithms import hqq
from refquant.algorithms.awq import FLAVOURS
from refquant.algorithms.gptq import GROUPS

__all__ = ["ALGORITHMS", "NEEDS_DATA", "SETTINGS", "Awq", "Gptq", "Hqq", "settings_of",
           "settings_table"]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Gptq:
    """What `refquant.algorithms.gptq` can be told; ``groups`` is ``static``, ``lazy``, ``fresh``.

    ``groups = "static"``, which no file needs ``g_idx`` for, is our default; the authors' is
    ``lazy``. ``few_tokens`` allows calibration by fewer tokens than a layer has inputs.

    >>> Gptq(damp=1.5)
    Traceback (most recent call last):
    ValueError: weights.gptq.damp: a number from 0 to below 1, got 1.5
    """

    act_order: bool = False
    groups: str = "static"
    block_size: int = 128
    damp: float = 0.01
    damp_increment: float = 0.01
    few_tokens: bool = False

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        _flag("gptq.act_order", self.act_order)
        _choice("gptq.groups", self.groups, GROUPS)
        _count("gptq.block_size", self.block_size)
        _number("gptq.damp", self.damp, 0 <= _real(self.damp) < 1, "from 0 to below 1")
        _number("gptq.damp_increment", self.damp_increment, 0 <= _real(self.damp_increment) <= 1,
                "from 0 to 1")  # fmt: skip
        _flag("gptq.few_tokens", self.few_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Awq:
    """What `refquant.algorithms.awq` can be told: whether to search ``scale``, whether to ``clip``.

    ``samples`` are the tokens that the clip search looks at, spread over all of them.

    >>> Awq(flavour="mine")
    Traceback (most recent call last):
    ValueError: weights.awq.flavour: unknown value 'mine'; allowed: 'llm_awq', 'autoawq'
    """

    scale: bool = True
    clip: bool = True
    flavour: str = "llm_awq"
    samples: int = 512

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        _flag("awq.scale", self.scale)
        _flag("awq.clip", self.clip)
        _choice("awq.flavour", self.flavour, FLAVOURS)
        _count("awq.samples", self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hqq:
    """What `refquant.algorithms.hqq` can be told; ``keep`` is ``last`` or ``best``.

    >>> Hqq(p=0)
    Traceback (most recent call last):
    ValueError: weights.hqq: p must be in (0, 1], beta > 0, kappa >= 1 and iters >= 1; \
got 0.0, 10.0, 1.01, 20
    """

    p: float = hqq.AUTHORS.p
    beta: float = hqq.AUTHORS.beta
    kappa: float = hqq.AUTHORS.kappa
    iters: int = hqq.AUTHORS.iters
    keep: str = hqq.AUTHORS.keep

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        for key in ("p", "beta", "kappa"):
            value = getattr(self, key)
            _number(f"hqq.{key}", value, _real(value) == _real(value), "")
            object.__setattr__(self, key, float(value))
        _count("hqq.iters", self.iters)
        try:
            self.settings()
        except ValueError as error:
            raise ValueError(f"weights.hqq: {error}") from error

    def settings(self) -> hqq.Settings:
        """Return them as the algorithm takes them."""
        return hqq.Settings(
            p=self.p, beta=self.beta, kappa=self.kappa, iters=self.iters, keep=self.keep
        )


SETTINGS: Mapping[str, Any] = {"gptq": Gptq, "awq": Awq, "hqq": Hqq}
"""Algorithm to the class of its settings; ``rtn`` has none."""

ALGORITHMS = ("rtn", *SETTINGS)
NEEDS_DATA = ("gptq", "awq")
"""The algorithms that look at calibration data."""


def settings_of(name: str, given: object) -> Any:
    """Return the settings of algorithm ``name``: the defaults, a table of some, or themselves.

    >>> settings_of("gptq", {"act_order": True}).act_order
    True
    >>> settings_of("awq", {"act_order": True})
    Traceback (most recent call last):
    ValueError: weights.awq: unknown key 'act_order' (value True); allowed: 'scale', 'clip', \
'flavour', 'samples'
    """
    kind = SETTINGS[name]
    if isinstance(given, kind):
        return given
    table = {} if given is None else given
    if not isinstance(table, Mapping):
        raise ValueError(f"weights.{name}: a table, [weights.{name}], got {table!r}")
    allowed = [item.name for item in fields(kind)]
    for key, value in table.items():
        if key not in allowed:
            known = ", ".join(map(repr, allowed))
            raise ValueError(
                f"weights.{name}: unknown key {key!r} (value {value!r}); allowed: {known}"
            )
    return kind(**table)


def settings_table(settings: Any) -> dict[str, Any]:
    """Return settings as the table that says all of them.

    >>> settings_table(Awq(clip=False))["clip"]
    False
    """
    return {item.name: getattr(settings, item.name) for item in fields(settings)}


def _flag(key: str, value: object) -> None:
    if type(value) is not bool:
        raise ValueError(f"weights.{key}: true or false, got {value!r}")


def _choice(key: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        known = ", ".join(map(repr, allowed))
        raise ValueError(f"weights.{key}: unknown value {value!r}; allowed: {known}")


def _count(key: str, value: object) -> None:
    if type(value) is not int or value < 1:
        raise ValueError(f"weights.{key}: an integer >= 1, got {value!r}")


def _number(key: str, value: object, good: bool, rule: str) -> None:
    if not good:
        raise ValueError(f"weights.{key}: {f'a number {rule}'.strip()}, got {value!r}")


def _real(value: object) -> float:
    """Return a number, NaN for what is none: every comparison with it fails."""
    return float(value) if type(value) in (int, float) else float("nan")  # type: ignore[arg-type]  # checked
