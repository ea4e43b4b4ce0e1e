"""The rules of a recipe: for activations, for weights, and for the nodes that differ.

Each is a frozen value that refuses, when it is made, what means nothing: an error names the key,
the value and what is allowed. Whether a rule suits a scheme is `refquant.model.recipe`'s business.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from refquant.calibration import OBSERVERS, observer
from refquant.model.recipe_algorithms import (
    ALGORITHMS,
    NEEDS_DATA,
    SETTINGS,
    AdaRound,
    Awq,
    Gptq,
    Hqq,
    KQuant,
    settings_of,
    settings_table,
)
from refquant.model.recipe_checks import check_value, field_names, known_keys
from refquant.model.table_formats import TABLE_FORMATS

__all__ = [
    "Activations",
    "Override",
    "Weights",
    "without_data",
]


@dataclass(frozen=True, slots=True)
class Activations:
    """How computed values become codes: ``options`` are the observer's.

    ``nodes = "linear"``: only `Conv`, `Gemm` and `MatMul` with constant weights compute on codes.

    >>> Activations(dtype="int4")
    Traceback (most recent call last):
    ValueError: activations.dtype: unknown value 'int4'; allowed: 'int8', 'uint8'
    """

    dtype: str = "int8"
    symmetric: bool = False
    observer: str = "minmax"
    options: Mapping[str, float] = field(default_factory=dict)
    nodes: str = "all"

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        check_value("activations.nodes", self.nodes, ("all", "linear"))
        check_value("activations.dtype", self.dtype, ("int8", "uint8"))
        check_value("activations.symmetric", self.symmetric, (False, True))
        check_value("activations.observer", self.observer, tuple(OBSERVERS))
        try:
            observer(self.observer, self.options)
        except ValueError as error:
            raise ValueError(f"activations.options: {error}") from error


@dataclass(frozen=True, slots=True)
class Weights:
    """How weights become codes; ``group_size`` belongs to granularity ``group`` (None: 32).

    ``format`` is ``affine``, integers on rulers, or one of `TABLE_FORMATS`, which has its own bits,
    blocks and scales; ``bits`` 0 and ``granularity`` "" are the format's: 8 and ``per_channel``,
    or what it has.

    ``algorithm`` chooses the codes; ``gptq``, ``awq``, ``hqq``, ``kquant`` and ``adaround`` are the
    settings of the one that is chosen, given as a table or as the object.

    >>> Weights(bits=9)
    Traceback (most recent call last):
    ValueError: weights.bits: unknown value 9; allowed: 8, 7, 6, 5, 4, 3, 2
    >>> Weights(format="mxfp4").group_size
    32
    """

    bits: int = 0
    symmetric: bool = True
    granularity: str = ""
    group_size: int | None = None
    observer: str = "minmax"
    algorithm: str = "rtn"
    gptq: Gptq | None = None
    awq: Awq | None = None
    hqq: Hqq | None = None
    kquant: KQuant | None = None
    adaround: AdaRound | None = None
    format: str = "affine"

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        check_value("weights.format", self.format, ("affine", *TABLE_FORMATS))
        self._complete()
        check_value("weights.bits", self.bits, (8, 7, 6, 5, 4, 3, 2))
        check_value("weights.symmetric", self.symmetric, (False, True))
        check_value("weights.granularity", self.granularity, ("per_channel", "per_tensor", "group"))
        grouped = self.granularity == "group"
        if grouped and self.group_size is None:
            object.__setattr__(self, "group_size", 32)
        if grouped and (type(self.group_size) is not int or self.group_size < 1):
            raise ValueError(f"weights.group_size: an integer >= 1, got {self.group_size!r}")
        if not grouped and self.group_size is not None:
            raise ValueError(
                f"weights.group_size: only with granularity 'group', got {self.group_size!r} "
                f"with {self.granularity!r}"
            )
        check_value("weights.observer", self.observer, ("minmax", "mse_grid"))
        check_value("weights.algorithm", self.algorithm, ALGORITHMS)
        for name in SETTINGS:
            given = getattr(self, name)
            if name == self.algorithm:
                object.__setattr__(self, name, settings_of(name, given))
            elif given is not None:
                raise ValueError(
                    f"weights.{name}: only with algorithm {name!r}, got {self.algorithm!r}"
                )
        if self.format != "affine" and self.gptq is not None and self.gptq.groups != "static":
            raise ValueError(
                f"weights.gptq.groups: format {self.format!r} has its scales before the walk, "
                f"'static', got {self.gptq.groups!r}"
            )
        own_zeros = self.algorithm in ("hqq", "kquant")
        if own_zeros and (self.symmetric or self.observer != "minmax"):
            raise ValueError(
                f"weights.algorithm: {self.algorithm!r} finds its own zero points: it needs "
                "symmetric = false and observer 'minmax', got "
                f"{str(self.symmetric).lower()} and {self.observer!r}"
            )

    def _complete(self) -> None:
        """Fill in what the format says of itself, and refuse what contradicts it."""
        table = TABLE_FORMATS.get(self.format)
        if type(self.bits) is int and self.bits == 0:
            object.__setattr__(self, "bits", 8 if table is None else table.bits)
        size = None if table is None else table.block_size
        if self.granularity == "":
            object.__setattr__(self, "granularity", "per_channel" if size is None else "group")
        if table is None:
            return
        if self.granularity == "group" and self.group_size is None and size is not None:
            object.__setattr__(self, "group_size", size)
        if self.algorithm not in ("rtn", "gptq"):
            raise ValueError(
                f"weights.algorithm: format {self.format!r} has 'rtn' or 'gptq', got "
                f"{self.algorithm!r}; leave it out, or choose another format"
            )
        own: dict[str, Any] = {"bits": table.bits, "symmetric": True, "observer": "minmax"}
        if size is not None:
            own["granularity"] = "group"
        if table.fixed:
            own["group_size"] = size
        for key, value in own.items():
            if getattr(self, key) != value:
                raise ValueError(
                    f"weights.{key}: format {self.format!r} has {value!r}, got "
                    f"{getattr(self, key)!r}; leave it out, or choose another format"
                )

    @property
    def needs_data(self) -> bool:
        """Whether the algorithm looks at what calibration data make of the layer's inputs."""
        weighed = self.kquant is not None and self.kquant.importance
        return self.algorithm in NEEDS_DATA or weighed

    @property
    def dtype(self) -> str:
        """The codes' dtype: signed around zero, unsigned when they have a zero point or a table."""
        if self.format != "affine":
            return f"uint{self.bits}"
        return f"{'int' if self.symmetric else 'uint'}{self.bits}"


def without_data(weights: Weights) -> Weights:
    """Return ``weights`` with an algorithm that looks at no data: ``kquant`` without importance.

    For what no calibration sees. Others become ``rtn``.

    >>> without_data(Weights(bits=4, algorithm="gptq")).algorithm
    'rtn'
    """
    if not weights.needs_data:
        return weights
    if weights.algorithm == "kquant":
        return replace(weights, kquant=KQuant(importance=False))
    unset: dict[str, Any] = dict.fromkeys(SETTINGS)
    return replace(weights, **{**unset, "algorithm": "rtn"})


# What another format does not inherit: the rest of a recipe's weights.
_OWN = {
    "bits": 0, "symmetric": True, "granularity": "", "group_size": None, "observer": "minmax",
    "algorithm": "rtn",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Override:
    """Other rules for the nodes whose name fits ``nodes`` (as file names fit ``*.py``).

    ``op`` keeps those of one operator, ``weight`` those weights whose constant's name fits.
    ``exclude`` leaves them in float32; ``weights`` replaces some of the recipe's keys. Of several
    overrides the last one has its way.
    """

    nodes: str
    op: str | None = None
    exclude: bool = False
    weights: Mapping[str, Any] = field(default_factory=dict)
    weight: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that mean nothing, and an override that changes nothing."""
        if not isinstance(self.nodes, str) or not self.nodes:
            raise ValueError(f"override.nodes: a pattern of node names, got {self.nodes!r}")
        if self.op is not None and not isinstance(self.op, str):
            raise ValueError(f"override.op: an operator's name, got {self.op!r}")
        if self.weight is not None and (not isinstance(self.weight, str) or not self.weight):
            raise ValueError(f"override.weight: a pattern of constants, got {self.weight!r}")
        check_value("override.exclude", self.exclude, (False, True))
        known_keys("override.weights", self.weights, field_names(Weights))
        if self.exclude == bool(self.weights):
            raise ValueError(
                f"override of {self.nodes!r}: either exclude = true or weights.* = ..., "
                f"got {'both' if self.exclude else 'neither'}"
            )

    def applied_to(self, weights: Weights) -> Weights:
        """Return ``weights`` with this override's keys.

        >>> Override("head", weights={"bits": 4}).applied_to(Weights()).dtype
        'int4'
        """
        changed = dict(self.weights)
        if changed.get("format", weights.format) != weights.format:
            changed = {**_OWN, **dict.fromkeys(SETTINGS), **changed}
        if changed.get("granularity", "group") != "group":
            changed.setdefault("group_size", None)
        if changed.get("algorithm", weights.algorithm) != weights.algorithm:
            changed = {**dict.fromkeys(SETTINGS), **changed}  # settings stay with their algorithm
        elif isinstance(changed.get(weights.algorithm), Mapping):
            kept = settings_table(getattr(weights, weights.algorithm))
            changed[weights.algorithm] = {**kept, **changed[weights.algorithm]}
        return replace(weights, **changed)
