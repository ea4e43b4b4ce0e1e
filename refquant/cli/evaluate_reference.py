"""A model beside the one it was made from: nearness of outputs, and of each layer's."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from refquant.cli.common import decimals, plain, print_table
from refquant.cli.evaluate_data import Batches
from refquant.cli.evaluate_models import Model
from refquant.cli.evaluate_result import Bar, Measured, real, shown
from refquant.evaluation.layers import Layer, first_below, layer_errors, worst_step
from refquant.evaluation.similarity import Similarity, similarity

__all__ = ["LOW", "json_layers", "layers_of", "nearness", "print_layers"]

LOW = 20.0
"""dB below which a layer is pointed at: a tenth of the signal is noise."""


def nearness(
    metric: str, reference: Model, model: Model, data: Batches, output: str | None, sums: str,
    bar: Bar,
) -> Measured:  # fmt: skip
    """Return the cosine or the SQNR of ``model`` to ``reference``, and of each output."""
    if set(model.graph.inputs) != set(reference.graph.inputs):
        raise ValueError(
            f"{model.path} has the inputs {list(model.graph.inputs)} and {reference.path} "
            f"{list(reference.graph.inputs)}; compare models of the same inputs"
        )
    advance = bar(model.path, data.count)
    try:
        found = similarity(reference.graph, model.graph, data.inputs, sums=sums, advance=advance)
    except ValueError as error:
        raise ValueError(f"{model.path}: {error}") from error
    one = _output(found, output)
    rows = [
        {
            "output": s.output, "cosine": real(s.cosine_mean), "cosine_least": real(s.cosine_least),
            "sqnr_db": real(s.sqnr_db), "sqnr_db_least": real(s.sqnr_db_least),
            "max_abs_error": s.largest,
        }
        for s in found
    ]  # fmt: skip
    details = {"reference": reference.path, "output": one.output, "outputs": rows}
    places = 6 if metric == "cosine" else 2
    least = one.cosine_least if metric == "cosine" else one.sqnr_db_least
    said = [f"to {reference.path}, output {one.output}"]
    for s in found:
        said.append(
            f"{s.output}: cosine {shown(s.cosine_mean, 6)} (least {shown(s.cosine_least, 6)}), "
            f"SQNR {shown(s.sqnr_db, 2)} dB (least {shown(s.sqnr_db_least, 2)}), largest "
            f"difference {s.largest:.3g}"
        )
    value, unit = (one.cosine_mean, None) if metric == "cosine" else (one.sqnr_db, "dB")
    columns = {"least": shown(least, places), "output": one.output}
    return Measured(value, unit, data.count, "samples", data.context, details, columns, tuple(said))


def _output(found: Sequence[Similarity], name: str | None) -> Similarity:
    by_name = {s.output: s for s in found}
    if name is None:
        name = "sentence_embedding" if "sentence_embedding" in by_name else next(iter(by_name))
        if len(by_name) > 1 and name != "sentence_embedding":
            raise ValueError(f"the models have the outputs {list(by_name)}; choose one by --scores")
    if name not in by_name:
        raise ValueError(f"--scores {name!r} is none of the outputs in common {list(by_name)}")
    return by_name[name]


def layers_of(reference: Model, model: Model, data: Batches, sums: str, bar: Bar) -> list[Layer]:
    """Return the errors of ``model``'s layers."""
    advance = bar(f"{model.path}, layers", data.count)
    try:
        return layer_errors(reference.graph, model.graph, data.inputs, sums=sums, advance=advance)
    except ValueError as error:
        raise ValueError(f"{model.path}: {error}") from error


def json_layers(layers: Sequence[Layer], threshold: float) -> dict[str, Any]:
    """Return the keys that ``--layers`` adds."""
    below, worst = first_below(layers, threshold), worst_step(layers)
    return {
        "layers": [
            {
                "value": layer.value,
                "op": layer.op,
                "sqnr_db": real(layer.errors.sqnr_db),
                "cosine": real(layer.errors.cosine),
                "max_abs_error": layer.errors.largest,
                "adds": real(layer.adds),
            }
            for layer in layers
        ],
        "threshold_db": threshold,
        "first_below": None if below is None else below.value,
        "worst_step": None if worst is None else worst.value,
    }


def print_layers(path: str, layers: Sequence[Layer], threshold: float) -> None:
    """Print a line a layer, and where to look."""
    sys.stdout.write(f"\n{plain(path)}\n")
    columns: Mapping[str, str] = {
        "layer's output": "left", "operator": "left", "SQNR dB": "right", "cosine": "right",
        "largest error": "right", "adds %": "right",
    }  # fmt: skip
    print_table(
        columns,
        [
            (
                layer.value,
                layer.op,
                shown(layer.errors.sqnr_db, 2),
                shown(layer.errors.cosine, 6),
                f"{layer.errors.largest:.3g}",
                shown(100 * layer.adds, 3),
            )
            for layer in layers
        ],
    )
    below, worst = first_below(layers, threshold), worst_step(layers)
    if below is None:
        sys.stdout.write(f"no layer is below {decimals(threshold, 1)} dB\n")
    else:
        sys.stdout.write(f"the first below {decimals(threshold, 1)} dB: {plain(below.value)}\n")
    if worst is not None:
        added = decimals(100 * worst.adds, 3)
        sys.stdout.write(f"the worst step: {plain(worst.value)} adds {added} % of noise\n")
