"""``refquant inspect`` of a ``.gguf`` file: what it says of itself, and what its weights cost."""

import hashlib
import math
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from refquant.cli.common import decimals, plain, print_table
from refquant.formats.gguf.layout import MAGIC
from refquant.formats.gguf.read import GgufFile, read_gguf
from refquant.formats.gguf.tensor import GgufTensor
from refquant.formats.gguf.values import Value, value_type

__all__ = ["describe_gguf", "is_gguf", "print_gguf"]

ITEMS = 4
"""Of an array, so many items are shown."""
LETTERS = 60
"""Of a text, so many characters are shown in a table."""


def is_gguf(path: str | os.PathLike[str]) -> bool:
    """Whether the file ``path`` is, or means to be, a ``.gguf`` file: by its content, or its name.

    What cannot be read here is left to the reader that the name asks for.
    """
    try:
        if Path(path).is_file():
            with open(path, "rb") as file:
                if file.read(len(MAGIC)) == MAGIC:
                    return True
    except (OSError, ValueError):
        pass
    return Path(path).suffix.lower() == ".gguf"


def describe_gguf(path: str) -> dict[str, Any]:
    """Return what the file ``path`` says, as JSON; arrays are cut after a few items."""
    file = read_gguf(path)
    tensors = list(file.tensors.values())
    types = {}
    for name in sorted({tensor.type.name for tensor in tensors}):
        types[name] = _cost([t for t in tensors if t.type.name == name])
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = stream.tell()
    architecture = file.metadata.get("general.architecture")
    return {
        "model": path,
        "bytes": size,
        "sha256": digest,
        "format": "gguf",
        "version": file.version,
        "byte_order": file.byte_order,
        "alignment": file.alignment,
        "architecture": architecture if isinstance(architecture, str) else None,
        "metadata": {key: _value(value) for key, value in file.metadata.items()},
        "tensors": _tensors(file),
        "types": types,
        **_cost(tensors),
    }


def _tensors(file: GgufFile) -> list[dict[str, Any]]:
    return [
        {
            "name": tensor.name,
            "type": tensor.type.name,
            "shape": list(tensor.shape),
            "bytes": tensor.data.size,
            "bits_per_weight": tensor.type.bits_per_weight,
        }
        for tensor in file.tensors.values()
    ]


def _cost(tensors: Iterable[GgufTensor]) -> dict[str, Any]:
    """Return number and size of ``tensors``; no weights have no bits per weight."""
    tensors = list(tensors)
    weights = sum(tensor.elements for tensor in tensors)
    size = sum(tensor.data.size for tensor in tensors)
    return {
        "tensor_count": len(tensors),
        "weights": weights,
        "tensor_bytes": size,
        "bits_per_weight": 8 * size / weights if weights else None,
    }


def _value(value: Value) -> dict[str, Any]:
    """Return a value with its type; what JSON cannot hold is null, and arrays are cut."""
    name, item = value_type(value)
    if item is None:
        return {"type": name, "value": _number(value)}
    items = list(value[:ITEMS])  # type: ignore[index]  # value_type: a tuple or a vector
    length = len(value)  # type: ignore[arg-type]  # the same
    shown = [_number(each) for each in items]
    return {"type": name, "item_type": item, "length": length, "first": shown}


def _number(value: Any) -> Any:
    plainly = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plainly, float) and not math.isfinite(plainly) else plainly


def print_gguf(result: dict[str, Any]) -> None:
    """Print what `describe_gguf` has found: a line, and three tables."""
    sys.stdout.write(
        f"{plain(result['model'])}: {plain(result['architecture'] or 'no architecture')}, "
        f"{result['bytes']:,} bytes, sha256 {result['sha256']}\n"
        f"GGUF version {result['version']}, {result['byte_order']}-endian, "
        f"alignment {result['alignment']}\n\n"
    )
    if result["metadata"]:
        values = [(key, *_shown(value)) for key, value in result["metadata"].items()]
        print_table(dict.fromkeys(("key", "type", "value"), "left"), values)
        sys.stdout.write("\n")
    columns = {"tensor": "left", "type": "left", "shape": "left"}
    columns |= dict.fromkeys(("bytes", "bits per weight"), "right")
    rows = [
        (t["name"], t["type"], _shape(t), f"{t['bytes']:,}", decimals(t["bits_per_weight"], 4))
        for t in result["tensors"]
    ]
    print_table(columns, rows)
    sys.stdout.write("\n")
    columns = dict.fromkeys(("type", "tensors", "weights", "bytes", "bits per weight"), "right")
    totals = {**result["types"], "all": result}
    print_table(columns | {"type": "left"}, [_total(name, cost) for name, cost in totals.items()])


def _shape(tensor: dict[str, Any]) -> str:
    return f"[{', '.join(map(str, tensor['shape']))}]"


def _total(name: str, cost: dict[str, Any]) -> tuple[str, ...]:
    numbers = (f"{cost[key]:,}" for key in ("tensor_count", "weights", "tensor_bytes"))
    return name, *numbers, decimals(cost["bits_per_weight"], 4)


def _shown(value: dict[str, Any]) -> tuple[str, str]:
    """Return type and value as a table has them: in one short line."""
    if "item_type" not in value:
        return value["type"], _text(value["value"])
    dots = ", ..." if value["length"] > ITEMS else ""
    items = ", ".join(_text(item) for item in value["first"])
    return f"{value['item_type']}[{value['length']:,}]", f"{items}{dots}"


def _text(value: Any) -> str:
    if value is None:
        return "not finite"
    if isinstance(value, float):
        return f"{value:.7g}"
    text = str(value)
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 3]}..."
