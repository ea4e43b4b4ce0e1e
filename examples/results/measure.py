"""One cell of docs/concepts/results.md: quantize as a user would, ask how good it is, say the cost.

The commands run as processes of their own, so that their time and memory are theirs alone::

    refquant quantize SOURCE --recipe R --calibration ... -o folder/part.rq     time, peak memory
    refquant evaluate folder/part.rq --metric ... --json                        the metric

Time is processor time, of all threads: what else the machine did does not count. Peak memory is
the largest resident set of the quantizing process, which includes the model and the data.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.results.likeness import likeness
from examples.results.subjects import OWN, ROOT, Subject
from refquant.model.graph import DTYPES, Graph
from refquant.model.recipe import ALIASES, recipe
from refquant.model.rq import read_rq

_OURS = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
ENVIRONMENT = {**_OURS, "OPENBLAS_NUM_THREADS": "1"}
"""One thread: two that wait for each other on a busy machine spend more time, and count it."""

ROOMY = {**ENVIRONMENT, "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**33)}
"""While evaluating, where memory is not measured: pages are not given back and asked for again."""

__all__ = ["bits_per_weight", "measure", "recipe_text"]

PART = "model"


def measure(subject: Subject, name: str) -> dict[str, Any]:
    """Return the cell of ``subject`` and the recipe ``name``; RuntimeError where a command fails.

    A refusal (exit 1: this recipe has no meaning for this model) is a cell, too: its reason.
    """
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        rules = folder / f"{name}.toml"
        rules.write_text(recipe_text(name))
        cost = Cost()
        for part in subject.parts:
            target = folder / f"{part or PART}.rq"
            command = ["quantize", subject.source, "--recipe", str(rules), "-o", str(target)]
            command += ["--sums", subject.sums]
            if part:
                command += ["--part", part]
            if recipe(str(rules)).needs_data:
                command += subject.data(part)
            refused = cost.run(command)
            if refused:
                return {"refused": refused}
        graphs = [read_rq(folder / f"{part or PART}.rq") for part in subject.parts]
        files = [folder / f"{part or PART}.rq" for part in subject.parts]
        metrics, each = _asked(subject, folder)
        return {
            "bytes": sum(file.stat().st_size for file in files),
            "bits": bits_per_weight(graphs),
            "seconds": round(cost.seconds, 1),
            "peak_mb": round(cost.peak / 2**20),
            "metrics": metrics,
            **({"each": each} if each else {}),
        }


def recipe_text(name: str) -> str:
    """Return the TOML of a recipe, ours or refquant's."""
    text = OWN.get(name)
    if text is not None:
        return text
    return (ROOT / f"refquant/model/recipes/{ALIASES.get(name, name)}.toml").read_text()


def bits_per_weight(graphs: Sequence[Graph]) -> float | None:
    """Return the bits that a weight of codes takes, with its scales; None if there is none."""
    bits = weights = 0
    for graph in graphs:
        seen: set[str] = set()
        owned = {n for v in graph.values.values() if v.quant for n in v.quant.names}
        for name, array in graph.constants.items():
            quant = graph.values[name].quant
            if quant is None or name in owned or array.ndim < 2:
                continue
            weights += array.size
            for each in {name, *quant.names} - seen:
                held = graph.constants[each]
                bits += held.size * DTYPES[graph.values[each].dtype].bits
            seen |= {name, *quant.names}
    return bits / weights if weights else None


@dataclass(slots=True)
class Cost:
    """Processor seconds and the largest resident set of the commands so far, in bytes."""

    seconds: float = 0.0
    peak: int = 0

    def run(self, command: Sequence[str]) -> str | None:
        """Run ``refquant`` ...; return why it refused, if it did."""
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "refquant.cli", *command],
                stdout=subprocess.DEVNULL, stderr=errors, cwd=ROOT, env=ENVIRONMENT,
            )  # fmt: skip
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            errors.seek(0)
            said = errors.read().decode().strip()
        self.seconds += usage.ru_utime + usage.ru_stime
        self.peak = max(self.peak, usage.ru_maxrss * 1024)
        if process.returncode == 1 and "Traceback" not in said:
            return said.removeprefix("refquant quantize: ")
        if process.returncode != 0:
            raise RuntimeError(f"refquant {' '.join(command)}: exit {process.returncode}: {said}")
        return None


def _asked(
    subject: Subject, folder: Path
) -> tuple[dict[str, float | None], dict[str, list[list[float]]]]:
    """Return the metrics' values, and those of each recording where an answer has them.

    None is for what has no bound: the SQNR of equal results.
    """
    answers: dict[tuple[str, ...], Any] = {}
    for metric in subject.metrics:
        if metric.options not in answers:
            answers[metric.options] = _answer(subject, metric.options, folder)
    found = [(m, answers[m.options]) for m in subject.metrics]
    each = {m.name: a["each"] for m, a in found if "each" in a and m.key == "value"}
    return {m.name: m.value(a) for m, a in found}, each


def _answer(subject: Subject, options: Sequence[str], folder: Path) -> Any:
    """Return what ``refquant evaluate`` says of a cell's model, as JSON."""
    if "kl" in options:
        return likeness(folder, Path(options[options.index("--audio") + 1]))
    filled = [option.replace("{folder}", str(folder)) for option in options]
    model = folder / f"{subject.asked or PART}.rq"
    command = [sys.executable, "-m", "refquant.cli", "evaluate", str(model), *filled, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=ROOMY, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)
