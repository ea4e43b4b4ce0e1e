"""The ``[inputs]`` of a recipe: how what coded layers read is rounded (scheme ``simulated``).

Formats that no integer operator computes with: each value that a `Conv`, `Gemm` or `MatMul` with a
coded weight reads is rounded by a `FakeQuantize` (`refquant.ops.fake_quantize`) and stays float32.

A frozen value that refuses, when it is made, what means nothing: an error names the key, the value
and what is allowed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from refquant.calibration import OBSERVERS, observer
from refquant.model.recipe_checks import check_value, listed
from refquant.ops.fake_quantize_rules import (
    FORMATS,
    GRANULARITIES,
    INTEGERS,
    check_rules,
    is_blocked,
)

__all__ = ["Inputs"]

_OF_ANY_CODES = ("minmax", "moving_average", "percentile")  # the others search for integers


@dataclass(frozen=True, slots=True)
class Inputs:
    """How inputs are rounded; ``observer`` and ``options`` belong to ``range = "static"``.

    ``granularity`` "" is the format's own: ``block`` for MX and NVFP4, else ``token`` of a dynamic
    range, ``tensor`` of a static one. ``clip_ratio`` and ``threshold``: see `FakeQuantize`.

    >>> Inputs(format="int8").granularity, Inputs("fp8_e4m3", range="static").observer
    ('token', 'minmax')
    >>> Inputs(format="int8", threshold=-6)
    Traceback (most recent call last):
    ValueError: inputs.threshold: a positive number, got -6; leave it out for none
    """

    format: str = ""
    granularity: str = ""
    range: str = "dynamic"
    observer: str = ""
    options: Mapping[str, float] = field(default_factory=dict)
    clip_ratio: float = 1.0
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that mean nothing, and fill in what the format says."""
        if self.format == "":
            raise ValueError(f"inputs.format is missing; allowed: {listed(FORMATS)}")
        check_value("inputs.format", self.format, FORMATS)
        check_value("inputs.range", self.range, ("static", "dynamic"))
        for key in ("clip_ratio", "threshold"):
            given = getattr(self, key)
            if given is not None and type(given) not in (int, float):
                raise ValueError(f"inputs.{key}: a number, got {given!r}")
        if not isinstance(self.observer, str):
            raise ValueError(f"inputs.observer: a name, got {self.observer!r}")
        if not isinstance(self.options, Mapping):
            raise ValueError(f"inputs.options: a table, got {self.options!r}")
        if self.granularity == "":
            plain = "tensor" if self.static else "token"
            object.__setattr__(self, "granularity", "block" if is_blocked(self.format) else plain)
        check_value("inputs.granularity", self.granularity, GRANULARITIES)
        try:
            check_rules(
                format=self.format,
                granularity=self.granularity,
                static=self.static,
                clip_ratio=self.clip_ratio,
                threshold=self.threshold,
            )
        except ValueError as error:
            raise ValueError(f"inputs.{error}") from error
        self._check_observer()

    @property
    def static(self) -> bool:
        """Whether calibration finds the scales."""
        return self.range == "static"

    def _check_observer(self) -> None:
        if not self.static:
            if self.observer or self.options:
                raise ValueError(
                    "inputs.observer and inputs.options: only with range 'static', got "
                    f"{self.observer!r} and {dict(self.options)!r}"
                )
            return
        if self.observer == "":
            object.__setattr__(self, "observer", "minmax")
        allowed = tuple(OBSERVERS) if self.format in INTEGERS else _OF_ANY_CODES
        check_value("inputs.observer", self.observer, allowed)
        try:
            observer(self.observer, self.options)
        except ValueError as error:
            raise ValueError(f"inputs.options: {error}") from error
