"""What a BERT's tensors do not say: ``config.json`` beside them.

The number of heads leaves no trace in any shape, and another one gives another model that runs as
well. So it is read, and so is all that would change the arithmetic: the activation, the kind of
positions, the epsilon of the norms. What this project's graph does not compute is refused.

Source: Hugging Face ``transformers``, ``BertConfig``, for names and defaults.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refquant.model.loaders.tensors import ModelFileError

__all__ = ["BertConfig", "read_bert_config"]

_COMPUTED = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
}
"""What the graph is of, which is also the default of what a file does not say."""


@dataclass(frozen=True, slots=True)
class BertConfig:
    """The number of attention heads, and the epsilon of LayerNorm."""

    heads: int
    epsilon: float


def read_bert_config(path: Path) -> BertConfig:
    """Return what the file ``path`` says; any fault is a `ModelFileError`.

    >>> read_bert_config(Path("no such file"))
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: no such file: cannot be read: No such file or \
directory; copy the model's config.json
    """
    try:
        table: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelFileError(
            f"{path}: cannot be read: {error.strerror}; copy the model's config.json"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: is no JSON: {error}; copy the model's again") from error
    if not isinstance(table, dict):
        raise ModelFileError(f"{path}: must be an object, got {table!r:.60}; copy it again")
    for key, only in _COMPUTED.items():
        if table.get(key, only) != only:
            raise ModelFileError(
                f"{path}: {key} must be {only!r}, got {table[key]!r:.60}; this loader reads no "
                "other architecture"
            )
    heads, epsilon = table.get("num_attention_heads", 12), table.get("layer_norm_eps", 1e-12)
    if type(heads) is not int or heads < 1:
        raise ModelFileError(f"{path}: num_attention_heads must be at least 1, got {heads!r:.60}")
    if type(epsilon) is not float or not 0 < epsilon < 1:
        raise ModelFileError(f"{path}: layer_norm_eps must be in (0, 1), got {epsilon!r:.60}")
    return BertConfig(heads, epsilon)
