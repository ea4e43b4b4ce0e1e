"""Commands of later versions: a sentence and exit code 2, whatever the arguments."""

from collections.abc import Callable
from typing import Any

import pytest

Refquant = Callable[..., Any]


@pytest.mark.parametrize("name", ["export"])
@pytest.mark.parametrize("arguments", [(), ("model.onnx", "-o", "model.rq"), ("--json",)])
def test_it_says_that_it_comes_later(
    name: str, arguments: tuple[str, ...], refquant: Refquant
) -> None:
    done = refquant(name, *arguments)
    assert done.code == 2, f"exit code {done.code}"
    assert done.out == "", f"wrote to stdout: {done.out}"
    assert done.err.startswith(f"refquant {name}: comes with a later version"), done.err
