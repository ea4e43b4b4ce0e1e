"""A recipe: how a model is to be quantized, as data.

A recipe is a TOML file of at most eight parts, and nothing in it is ignored:

* ``scheme``: ``float32``, ``static``, ``full_integer``, ``dynamic``, ``weight_only`` or
  ``simulated``;
* ``contract``: the arithmetic, a preset's name (every scheme but ``float32``);
* ``sums``: ``ordered``, the same bits everywhere, or ``blas``, for large models, in which order the
  float model is executed for calibration (`refquant.numerics.dot`);
* ``[transforms]``: what happens to the float32 weights first (none, if it is absent);
* ``[activations]``: dtype, symmetry and observer (``static`` and ``full_integer``);
* ``[inputs]``: how what coded layers read is rounded (``simulated``);
* ``[weights]``: bits, symmetry, granularity and observer (every scheme but ``float32``);
* ``[[override]]``: the same for the nodes whose names fit a pattern, or their exclusion.

A key or value that means nothing is a `ValueError` that names it and lists what is allowed: a
recipe with a typing error must not quietly become another recipe.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from refquant.contracts import PRESETS
from refquant.formats.parameters import refusal
from refquant.model.recipe_checks import check_value, known_keys, listed
from refquant.model.recipe_inputs import Inputs
from refquant.model.recipe_rules import Activations, Override, Weights
from refquant.model.recipe_tables import as_table, overrides_of, table_of
from refquant.model.recipe_transforms import Transforms
from refquant.numerics.dot import SUMS
from refquant.ops.fake_quantize_rules import INTEGERS

__all__ = [
    "ALIASES",
    "SCHEMES",
    "Activations",
    "Inputs",
    "Override",
    "Recipe",
    "Transforms",
    "Weights",
    "parse_recipe",
    "recipe",
    "recipe_names",
]

SCHEMES = ("float32", "static", "full_integer", "dynamic", "weight_only", "simulated")
ALIASES: Mapping[str, str] = {
    "int8_static": "w8a8_static_per_channel",
    "int8_dynamic": "w8a8_dynamic",
    "int8_weight_only": "w8_weight_only",
    "int8_full_integer": "w8a8_full_integer",
}
"""Shorter names of shipped recipes. Both are recorded as they were asked for."""

_CALIBRATED = ("static", "full_integer")
_DECODED = ("weight_only", "simulated")  # the arithmetic is float32, weights are of any format
_KEYS = (
    *("scheme", "contract", "sums", "transforms", "activations", "inputs", "weights", "override"),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A scheme, its contract, and the rules for activations, inputs and weights that it needs."""

    name: str
    scheme: str
    contract: str | None = None
    activations: Activations | None = None
    weights: Weights | None = None
    overrides: tuple[Override, ...] = ()
    transforms: Transforms | None = None
    sums: str = "ordered"
    inputs: Inputs | None = None

    def __post_init__(self) -> None:
        """Refuse parts the scheme would ignore, miss, or cannot compute."""
        check_value("scheme", self.scheme, SCHEMES)
        check_value("sums", self.sums, SUMS)
        plain = self.scheme == "float32"
        self._part("contract", self.contract, needed=not plain)
        self._part("weights", self.weights, needed=not plain)
        self._part("activations", self.activations, needed=self.scheme in _CALIBRATED)
        self._part("inputs", self.inputs, needed=self.scheme == "simulated")
        corrects = self.corrects or None
        self._part("transforms.bias_correction", corrects, needed=self.corrects and not plain)
        self._part("override", self.overrides or None, needed=bool(self.overrides) and not plain)
        if self.scheme == "full_integer" and self.activations and self.activations.nodes != "all":
            raise ValueError(
                f"activations.nodes: 'full_integer' has 'all', got {self.activations.nodes!r}; "
                "use scheme 'static'"
            )
        if self.contract is not None:
            check_value("contract", self.contract, tuple(PRESETS))
        if self.inputs is not None and self.inputs.format in INTEGERS:
            self._check_integers(self.inputs.format)
        if self.weights is not None:
            for rules in (self.weights, *(o.applied_to(self.weights) for o in self.overrides)):
                self._check_weights(rules)

    def _part(self, name: str, part: object, *, needed: bool) -> None:
        if (part is not None) != needed:
            verb = "needs" if needed else "has no"
            raise ValueError(
                f"scheme {self.scheme!r} {verb} {name}; {'add' if needed else 'remove'} it"
            )

    def _check_integers(self, dtype: str) -> None:
        contract = PRESETS[self.contract or ""]
        if reason := refusal(dtype=dtype, symmetric=True, contract=contract):
            raise ValueError(f"inputs.format {dtype!r} is symmetric: {reason}")

    def _check_weights(self, weights: Weights) -> None:
        """Refuse weights that no operator of the scheme computes with."""
        if self.decodes:
            return
        if weights.format != "affine":
            raise ValueError(f"weights.format {weights.format!r} needs scheme 'weight_only'")
        if weights.algorithm != "rtn" or weights.bits == 3:
            raise ValueError(
                f"weights.algorithm {weights.algorithm!r} with {weights.bits} bits needs scheme "
                f"'weight_only', got {self.scheme!r}"
            )
        if weights.granularity == "group":
            raise ValueError(
                f"weights.granularity: 'group' needs scheme 'weight_only', got {self.scheme!r}"
            )
        if self.scheme == "dynamic" and (weights.bits, weights.symmetric) != (8, True):
            raise ValueError(
                "scheme 'dynamic' needs weights.bits 8 and weights.symmetric true, "
                f"got {weights.bits} and {str(weights.symmetric).lower()}"
            )

    @property
    def decodes(self) -> bool:
        """Whether coded weights are read as reals, beside float32 arithmetic: of any format."""
        return self.scheme in _DECODED

    @property
    def corrects(self) -> bool:
        """Whether biases make up for what the codes of weights do to means."""
        return self.transforms is not None and self.transforms.bias_correction is not None

    @property
    def walks(self) -> bool:
        """Whether a transform or an algorithm looks at what the model makes of calibration data."""
        changes = self.transforms
        if changes is not None and changes.needs_data:
            return True
        if self.weights is None:
            return False
        rules = (self.weights, *(o.applied_to(self.weights) for o in self.overrides))
        return any(own.needs_data for own in rules)

    @property
    def needs_data(self) -> bool:
        """Whether calibration data are needed: for that, or for the ranges of activations."""
        static = self.inputs is not None and self.inputs.static
        return self.walks or static or self.activations is not None

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as JSON with every default written out: what a file's meta records.

        >>> recipe("w8a8_dynamic").to_json()["weights"]["granularity"]
        'per_channel'
        """
        parts: dict[str, Any] = {"name": self.name, "scheme": self.scheme, "sums": self.sums}
        if self.contract is not None:
            parts["contract"] = self.contract
        if self.transforms is not None:
            parts["transforms"] = as_table(self.transforms)
        if self.activations is not None:
            parts["activations"] = as_table(self.activations)
        if self.inputs is not None:
            parts["inputs"] = as_table(self.inputs)
        if self.weights is not None:
            parts["weights"] = as_table(self.weights)
        if self.overrides:
            parts["override"] = [as_table(item) for item in self.overrides]
        return parts


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with refquant, sorted: files and `ALIASES`.

    >>> "w8a8_static_per_channel" in recipe_names()
    True
    """
    folder = resources.files("refquant.model") / "recipes"
    files = [f.name.removesuffix(".toml") for f in folder.iterdir() if ".toml" in f.name]
    return sorted([*files, *ALIASES])


def recipe(name_or_path: str | os.PathLike[str]) -> Recipe:
    """Return the shipped recipe of that name, or the one in the TOML file of that path.

    A path is one that ends in ``.toml``. An unknown name is a `ValueError` that lists the names.

    >>> recipe("w4_group32_weight_only").weights.group_size
    32
    """
    text = os.fspath(name_or_path)
    if text.endswith(".toml"):
        path = Path(text)
        try:
            return parse_recipe(path.read_text("utf-8"), name=path.stem)
        except UnicodeDecodeError as error:
            raise ValueError(f"recipe {text!r}: it is UTF-8 text; save it as such") from error
    if text not in recipe_names():
        raise ValueError(
            f"unknown recipe {text!r}; there are {', '.join(recipe_names())}, or a .toml file"
        )
    file = resources.files("refquant.model") / "recipes" / f"{ALIASES.get(text, text)}.toml"
    return parse_recipe(file.read_text("utf-8"), name=text)


def parse_recipe(text: str, *, name: str) -> Recipe:
    """Return the recipe that the TOML ``text`` says; ``name`` stands in errors and in meta.

    >>> parse_recipe('scheme = "float33"', name="mine")
    Traceback (most recent call last):
    ...
    ValueError: recipe 'mine': scheme: unknown value 'float33'; allowed: 'float32', 'static', \
'full_integer', 'dynamic', 'weight_only', 'simulated'
    """
    try:
        table = tomllib.loads(text)
        known_keys("recipe", table, _KEYS)
        if "scheme" not in table:
            raise ValueError(f"scheme is missing; allowed: {listed(SCHEMES)}")
        return Recipe(
            name=name,
            scheme=table["scheme"],
            contract=table.get("contract"),
            activations=table_of(Activations, "activations", table.get("activations")),
            weights=table_of(Weights, "weights", table.get("weights")),
            overrides=overrides_of(table.get("override", [])),
            transforms=table_of(Transforms, "transforms", table.get("transforms")),
            sums=table.get("sums", "ordered"),
            inputs=table_of(Inputs, "inputs", table.get("inputs")),
        )
    except ValueError as error:  # tomllib's errors are ValueErrors, too
        raise ValueError(f"recipe {name!r}: {error}") from error
