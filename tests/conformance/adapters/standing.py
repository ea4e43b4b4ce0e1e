"""What is asked of every adapter of a library, whether the library is here or not."""

import ast
import inspect
import sys
from types import ModuleType

from refquant_conformance.adapters import MissingBackendError, load_backend


def here_or_named(name: str) -> bool:
    """Whether the backend answers with its name, or its absence with the extra that installs it."""
    try:
        return load_backend(name).info().name == name
    except MissingBackendError as absent:
        return f"'refquant-conformance[{name}]'" in str(absent)


def foreign_imports(calls: ModuleType) -> set[str]:
    """What a file of calls imports besides NumPy and the standard library: nothing."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(calls))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found - {"numpy"} - set(sys.stdlib_module_names)
