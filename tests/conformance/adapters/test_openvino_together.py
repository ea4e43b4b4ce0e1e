"""Cases that are computed together: what is compiled, when, and what a place in it is fed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from refquant_conformance.adapters.onnx_models import Model, Node
from refquant_conformance.adapters.openvino_models import Compiled
from refquant_conformance.adapters.openvino_together import Asked, Together
from refquant_conformance.protocol import Array, Rejected, Result, Unsupported


@dataclass
class Doubler:
    """An engine that doubles every feed, and counts what it was told to do."""

    compiled: list[int] = field(default_factory=list)
    runs: int = 0

    def make(self, model: Model, shapes: Mapping[str, Any]) -> Compiled:
        """Compile what has no node called Unknown."""
        if any(node.op == "Unknown" for node in model.nodes):
            raise Unsupported("no such node")
        self.compiled.append(len(model.nodes))
        return Compiled(model, "double")

    def ask(self, made: Compiled, names: Iterable[str], feeds: Mapping[str, Array]) -> Result:
        """Double; 99 is refused."""
        self.runs += 1
        if any((array == 99).any() for array in feeds.values()):
            raise Rejected("99")
        return Result({name: feeds[name.replace("y", "x")] * 2 for name in names}, {"isa": "none"})


def asked(value: float, kind: str = "Double", mode: str = "default", size: int = 1) -> Asked:
    model = Model((Node(kind, ("x",)),), {}, {"x": "float32"}, {"y": "float32"})
    return Asked(mode, model, {"x": np.full(size, value, np.float32)})


def test_what_is_announced_is_compiled_once_and_answers_each() -> None:
    engine = Doubler()
    together = Together(engine.make, engine.ask)
    cases = [asked(k, size=k + 1) for k in range(40)]
    together.announce(cases)
    assert (engine.compiled, engine.runs) == ([32, 8], 2), "two models of at most 32"
    for k, case in enumerate(cases):
        found = together.run(case)
        assert found is not None, f"{k} was announced"
        assert found.outputs["y"].tolist() == [2.0 * k] * (k + 1), f"{k}"
        others = 31 if k < 32 else 7
        assert found.provenance == {"isa": "none", "compiled": f"with {others} others"}, f"{k}"
    assert engine.runs == 2, "all were foreseen"


def test_what_comes_again_is_run_again_where_it_was_compiled_with_its_own_data() -> None:
    engine = Doubler()
    together = Together(engine.make, engine.ask)
    together.announce([asked(1), asked(2, size=2)])
    again = [asked(5), asked(6, size=2), asked(7)]
    together.announce(again)
    results = [together.run(case) for case in again]
    values = [found.outputs["y"].tolist() for found in results if found is not None]
    assert values == [[10.0], [12.0, 12.0], [14.0]], f"{values}"
    assert engine.compiled == [2], "compiled once"
    assert engine.runs == 4, "and run for each that is asked"


def test_the_same_question_is_computed_as_often_as_it_is_asked() -> None:
    engine = Doubler()
    together = Together(engine.make, engine.ask)
    together.announce([asked(1), asked(2, size=2)])
    for count in (1, 2, 3):
        together.run(asked(1))
        assert engine.runs == count, "the first is foreseen, the next are not"


def test_another_mode_compiles_when_it_is_asked_and_modes_share_what_was_compiled() -> None:
    engine = Doubler()
    together = Together(engine.make, engine.ask)
    together.announce([asked(1), asked(2, size=2)])
    for mode in ("flush_to_zero", "round_up"):
        cases = [asked(3, mode=mode), asked(4, mode=mode, size=2)]
        before = len(engine.compiled)
        together.announce(cases)
        assert len(engine.compiled) == before, f"{mode} is not entered yet"
        found = [together.run(case) for case in cases]
        values = [one.outputs["y"].tolist() for one in found if one is not None]
        assert values == [[6.0], [8.0, 8.0]], f"{mode}: {values}"
    assert engine.compiled == [2, 2], "once by default, once in a mode"


def test_what_was_not_announced_or_does_not_compile_is_asked_alone() -> None:
    engine = Doubler()
    together = Together(engine.make, engine.ask)
    together.announce([asked(1), asked(2, "Unknown")])
    assert together.run(asked(1)) is None, "its neighbour does not compile"
    together.announce([asked(1), asked(99, size=2)])
    assert together.run(asked(1)) is None, "its neighbour's data are refused"
    assert together.run(asked(3, size=3)) is None, "never announced"


def test_data_that_are_refused_later_leave_the_neighbours_as_they_were() -> None:
    engine = Doubler()
    together = Together(engine.make, engine.ask)
    together.announce([asked(1), asked(2, size=2)])
    with pytest.raises(Rejected):
        together.run(asked(99))
    found = together.run(asked(3, size=2))
    assert found is not None, "it has a place"
    assert found.outputs["y"].tolist() == [6.0, 6.0], "the 99 was not kept"
