"""Under which names a value is there: as codes, as float32, as both, made when first asked for.

A layer on codes asks for the codes of its operands, a float32 layer for the reals. `Values` knows
in which form each value of the float graph was **born**, and adds a `QuantizeLinear` or a
`DequantizeLinear`, once, when somebody asks for the other one.

A value's own name stays with the form it is born in; inputs and outputs of the graph keep it for
the form that users see: reals in ``static``, codes in ``full_integer``. The other form is called
``v/codes`` or ``v/float``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from refquant.contracts import Contract
from refquant.formats.affine import QParams, choose_qparams, quantize
from refquant.model.build import Builder
from refquant.model.calibrate import Calibrated
from refquant.model.graph import DTYPES, Graph, Quant
from refquant.model.quantize_weights import add_float
from refquant.model.recipe_rules import Activations

__all__ = ["Values"]


@dataclass(frozen=True, slots=True)
class Values:
    """The values of ``graph`` in the new graph ``b``, which this object adds nodes to.

    ``source`` says whose parameters a value has, ``seen`` what calibration observed.
    """

    graph: Graph
    source: Mapping[str, str]
    seen: Calibrated
    rules: Activations
    contract: Contract
    full_integer: bool
    b: Builder
    _codes: dict[str, str] = field(default_factory=dict)
    _reals: dict[str, str] = field(default_factory=dict)
    _chosen: dict[str, QParams] = field(default_factory=dict)

    def qparams(self, name: str) -> QParams:
        """Return the parameters of the value ``name`` of the float graph."""
        source = self.source.get(name, name)
        if source not in self._chosen:  # an observer may search for long
            self._chosen[source] = self._choose(source)
        return self._chosen[source]

    def _choose(self, source: str) -> QParams:
        dtype, symmetric = self.rules.dtype, self.rules.symmetric
        if source in self.graph.constants:
            array = self.graph.constants[source]
            if array.size == 0 or not np.isfinite(array).all():
                raise ValueError(f"constant {source!r} must be finite and not empty to be codes")
            ends = array.min(), array.max()
            return choose_qparams(*ends, dtype=dtype, symmetric=symmetric, contract=self.contract)
        if source not in self.seen.observers:  # a Softmax: its range is known
            low = np.int32(DTYPES[dtype].qmin)
            return QParams(np.float32(1 / 256), low, None, dtype)
        state = self.seen.observers[source]
        return state.qparams(dtype=dtype, symmetric=symmetric, contract=self.contract)

    def quant(self, name: str) -> Quant:
        """Return `qparams` as the graph says them."""
        qparams = self.qparams(name)
        return Quant(float(qparams.scale), int(qparams.zero_point))

    def born(self, name: str, *, codes: bool) -> str:
        """Say in which form the value ``name`` appears, and return the name it has then."""
        names = self._codes if codes else self._reals
        names[name] = self._named(name, codes=codes, born=True)
        return names[name]

    def codes(self, name: str, *, like: str | None = None) -> str:
        """Return the name of the value's codes; a constant takes the parameters of ``like``."""
        if name in self.graph.constants:
            return self._constant(name, like or name)
        if name not in self._codes:
            self._codes[name] = self.b.node_with(
                "QuantizeLinear",
                [self._reals[name]],
                [self._named(name, codes=True, born=False)],
                name=self.b.free(f"{name}/quantize"),
                contract=self.contract,
                dtype=self.rules.dtype,
                quant=self.quant(name),
            )[0]
        return self._codes[name]

    def reals(self, name: str) -> str:
        """Return the name of the float32 value."""
        if name in self.graph.constants or not name:
            return add_float(self.b, self.graph, name)
        if name not in self._reals:
            self._reals[name] = self.b.node_with(
                "DequantizeLinear",
                [self._codes[name]],
                [self._named(name, codes=False, born=False)],
                name=self.b.free(f"{name}/dequantize"),
                contract=self.contract,
            )[0]
        return self._reals[name]

    def _named(self, name: str, *, codes: bool, born: bool) -> str:
        ends = name in self.graph.inputs or name in self.graph.outputs
        plain = codes == self.full_integer if ends else born
        return name if plain else self.b.free(f"{name}/{'codes' if codes else 'float'}")

    def _constant(self, name: str, like: str) -> str:
        fresh = self.b.free(f"{name}/codes" if like == name else f"{name}/for/{like}")
        if fresh not in self.b.constants:
            qparams = self.qparams(like)
            codes = quantize(self.graph.constants[name], qparams, contract=self.contract)
            self.b.constant(fresh, codes, dtype=qparams.dtype, quant=self.quant(like))
        return fresh
