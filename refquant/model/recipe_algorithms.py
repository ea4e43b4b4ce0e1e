"""The settings of the algorithms that choose a weight's codes: ``[weights.gptq]`` and its like.

``weights.algorithm`` names one of `ALGORITHMS`; a table of that name holds what it can be told, all
of it optional. A key that means nothing, a value that the algorithm refuses, and a table of another
algorithm are errors that name the key. The defaults are the authors' own, but where the docstring
says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

from refquant.algorithms import adaround, hqq, kquant
from refquant.algorithms.awq import FLAVOURS
from refquant.algorithms.gptq import GROUPS
from refquant.model.recipe_checks import check_choice, check_count, check_flag, check_number, real

__all__ = ["ALGORITHMS", "NEEDS_DATA", "SETTINGS", "AdaRound", "Awq", "Gptq", "Hqq", "KQuant",
           "settings_of", "settings_table"]  # fmt: skip


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
        check_flag("gptq.act_order", self.act_order)
        check_choice("gptq.groups", self.groups, GROUPS)
        check_count("gptq.block_size", self.block_size)
        check_number("gptq.damp", self.damp, 0 <= real(self.damp) < 1, "from 0 to below 1")
        step = self.damp_increment
        check_number("gptq.damp_increment", step, 0 <= real(step) <= 1, "from 0 to 1")
        check_flag("gptq.few_tokens", self.few_tokens)


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
        check_flag("awq.scale", self.scale)
        check_flag("awq.clip", self.clip)
        check_choice("awq.flavour", self.flavour, FLAVOURS)
        check_count("awq.samples", self.samples)


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
            check_number(f"hqq.{key}", value, isfinite(real(value)), "that is finite")
            object.__setattr__(self, key, float(value))
        check_count("hqq.iters", self.iters)
        try:
            self.settings()
        except ValueError as error:
            raise ValueError(f"weights.hqq: {error}") from error

    def settings(self) -> hqq.Settings:
        """Return them as the algorithm takes them."""
        return hqq.Settings(
            p=self.p, beta=self.beta, kappa=self.kappa, iters=self.iters, keep=self.keep
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KQuant:
    """What `refquant.algorithms.kquant` can be told: whether inputs have a say (``importance``).

    With it calibration data are needed; without, large weights count more. ``magnitude`` lets them
    count more with importance, too, as ggml does. ``start``, ``delta`` and ``steps`` are the rulers
    that are tried; None: ggml's of Q4_K, which are others with importance than without.

    >>> KQuant(importance=False).settings().steps, KQuant().settings().steps
    (20, 36)
    """

    importance: bool = True
    magnitude: bool = False
    start: float | None = None
    delta: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that mean nothing, and write the rulers out."""
        check_flag("kquant.importance", self.importance)
        check_flag("kquant.magnitude", self.magnitude)
        if self.magnitude and not self.importance:
            raise ValueError("weights.kquant.magnitude: only with importance = true, got true")
        usual = kquant.WEIGHTED if self.importance else kquant.PLAIN
        for key in ("start", "delta"):
            value = getattr(usual if getattr(self, key) is None else self, key)
            check_number(f"kquant.{key}", value, abs(real(value)) < 1e6, "of size below 1e6")
            object.__setattr__(self, key, float(value))
        if self.steps is None:
            object.__setattr__(self, "steps", usual.steps)
        check_count("kquant.steps", self.steps)

    def settings(self) -> kquant.Search:
        """Return them as the algorithm takes them."""
        assert self.start is not None, "__post_init__ sets it"
        assert self.delta is not None, "__post_init__ sets it"
        assert self.steps is not None, "__post_init__ sets it"
        return kquant.Search(
            start=self.start, delta=self.delta, steps=self.steps, magnitude=self.magnitude
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaRound:
    """What `refquant.algorithms.adaround` can be told: how long, how fast, and when to decide.

    Nothing is drawn: there is no seed. ``regularization`` is in units of what rounding a weight to
    nearest costs on the average (`refquant.algorithms.adaround_weight`). Ours are fewer and larger
    steps than the authors' 10,000 of 0.001.

    >>> AdaRound(iterations=0)
    Traceback (most recent call last):
    ValueError: weights.adaround.iterations: an integer >= 1, got 0
    """

    iterations: int = 500
    learning_rate: float = 0.02
    regularization: float = 30.0
    beta_start: float = 20.0
    beta_end: float = 2.0
    warm_start: float = 0.2

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        check_count("adaround.iterations", self.iterations)
        for item in fields(self):
            if item.name != "iterations":
                value = getattr(self, item.name)
                finite = isfinite(real(value))
                check_number(f"adaround.{item.name}", value, finite, "that is finite")
                object.__setattr__(self, item.name, float(value))
        try:
            self.settings()
        except ValueError as error:
            raise ValueError(f"weights.adaround: {error}") from error

    def settings(self) -> adaround.AdaRound:
        """Return them as the algorithm takes them."""
        return adaround.AdaRound(
            self.iterations,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            beta_start=self.beta_start,
            beta_end=self.beta_end,
            warm_start=self.warm_start,
        )


SETTINGS: Mapping[str, Any] = {
    "gptq": Gptq, "awq": Awq, "hqq": Hqq, "kquant": KQuant, "adaround": AdaRound,
}  # fmt: skip
"""Algorithm to the class of its settings; ``rtn`` has none."""

ALGORITHMS = ("rtn", *SETTINGS)
NEEDS_DATA = ("gptq", "awq", "adaround")
"""The algorithms that look at calibration data; ``kquant`` does with ``importance``."""


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
