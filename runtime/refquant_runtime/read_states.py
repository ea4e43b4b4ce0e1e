"""The states of a ``.rq`` file: ``docs/spec/rq-format.md``, section 2, STATE."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refquant_runtime.fields import Fields
from refquant_runtime.graph import State, Value

__all__ = ["StateReader"]


class StateReader(Fields):
    """Checks the list ``states``; ``produced`` are the values that a run makes or is given."""

    def __init__(
        self, path: Path, values: Mapping[str, Value], inputs: tuple[str, ...], produced: set[str]
    ) -> None:
        super().__init__(path)
        self.values, self.inputs, self.produced = values, inputs, produced

    def states(self, listed: Any) -> tuple[State, ...]:
        """Return the states, of which there is at least one."""
        if not self.kind("states", listed, list):
            self.fail("states", "are empty", "remove the key, then write the file again")
        result: list[State] = []
        for index, entry in enumerate(listed):
            state = self.state(f"state {index}", entry)
            where = f"state {state.name!r}"
            if not state.name or state.name in {other.name for other in result}:
                self.fail(where, "its name is empty or not unique")
            if state.input in {other.input for other in result}:
                self.fail(where, f"its input {state.input!r} has a state already")
            result.append(state)
        return tuple(result)

    def state(self, where: str, entry: Any) -> State:
        """Return one state, both ends and the beginning of one kind."""
        self.keys(where, entry, {"name", "input", "output"}, {"initial"})
        for key, text in entry.items():
            self.kind(f"{where} {key}", text, str)
        name, source, target = entry["name"], entry["input"], entry["output"]
        where = f"state {name!r}"
        if source not in self.inputs:
            self.fail(where, f"its input {source!r} is no input of the graph")
        if target not in self.produced:
            self.fail(where, f"its output {target!r} is neither an input nor produced by a node")
        if source == target:
            self.fail(where, f"{source!r} would never change", "make it a constant")
        before = self.values[source]
        if before.lengths:
            self.fail(where, f"{source!r} has a length 'T', and a state has one size")
        if _kind(before, before.shape) != _kind(self.values[target], before.shape):
            self.fail(where, f"{source!r} and {target!r} differ in dtype, shape, scale or zero "
                      "point")  # fmt: skip
        if "initial" in entry:
            self.begins(where, before, entry["initial"])
        return State(name, source, target, entry.get("initial", ""))

    def begins(self, where: str, value: Value, name: str) -> None:
        """Check the constant that a state begins as: one sample of its kind."""
        first = self.values.get(name)
        if first is None or first.data is None:
            self.fail(where, f"its initial {name!r} is no constant")
        sample = (1, *value.shape[1:]) if value.batched else value.shape
        same = first.dtype == value.dtype and first.shape == sample
        if not same or _meaning(first) != _meaning(value):
            self.fail(where, f"its initial {name!r} is not one sample of what {value.name!r} is")


def _kind(value: Value, shape: tuple[int, ...]) -> Any:
    same = value.shape == shape
    return value.dtype, same, value.batched, value.lengths, _meaning(value)


def _meaning(value: Value) -> Any:
    """Return what codes mean, to be compared; None for reals."""
    quant = value.quant
    if quant is None:
        return None
    if quant.block_shape is not None or not quant.plain:
        return value.name  # of a constant: like nothing that is computed
    return float(quant.scale), int(quant.zero_point)
