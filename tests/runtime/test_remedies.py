"""Every error of the loader and of a session ends in a remedy: a clause that begins with a verb.

Once over the source, so that no message is missed, and once over files that are wrong, so that what
is put together from parts is seen whole.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import refquant_runtime
from refquant_runtime import FormatError, InputError, Session, UnsupportedError
from tests.runtime import test_check, test_check_operands, test_feeds, test_read_graph
from tests.runtime.zoo import edited, file_of

FOLDER = Path(refquant_runtime.__file__).parent
RAISED = {"InputError", "UnsupportedError", "IsaError"}  # the message; of FormatError, the remedy
VERBS = {
    *("calibrate", "check", "choose", "convert", "copy", "declare", "export", "fill", "give"),
    *("keep", "make", "name", "pass", "put", "quantize", "remove", "rename", "reshape", "set"),
    *("sort", "split", "use", "write"),
}
# Where a message ends in what a variable holds: what that is.
PASSED_ON = {
    "{remedy}": "a remedy of its own, which the files below show",
    "{error}": "the message of the planner, which is in this list, too",
    "cannot be written ({problem}": "in data.py, where each problem ends in its remedy",
}


def remedy_of(message: str) -> str:
    """Return what follows the first semicolon, and there (or without one) the last colon."""
    return message.split("; ", 1)[-1].rsplit(": ", 1)[-1]


def begins_with_a_verb(remedy: str) -> bool:
    return remedy.replace(",", " ").split(" ", 1)[0] in VERBS


def text_of(node: ast.expr, known: dict[str, str]) -> str:
    """Return a message as it stands in the source, with ``{name}`` for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part, known) for part in node.values)
    inner = node.value if isinstance(node, ast.FormattedValue) else node
    source = ast.unparse(inner)
    return known.get(source, f"{{{source}}}")


def constants(tree: ast.Module) -> dict[str, str]:
    """Return the module's names for texts."""
    return {
        ast.unparse(statement.targets[0]): str(statement.value.value)
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    }


def raised() -> Iterator[tuple[str, str]]:
    """Yield place and remedy of every error that the source raises by name."""
    for path in sorted(FOLDER.rglob("*.py")):
        tree = ast.parse(path.read_text())
        known = constants(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            function, place = ast.unparse(node.func), f"{path.relative_to(FOLDER)}:{node.lineno}"
            if function in RAISED:
                yield place, remedy_of(text_of(node.args[0], known))
            elif function in ("FormatError", "_fail") and len(node.args) == 4:
                yield place, remedy_of(text_of(node.args[3], known))
            elif function == "self.fail" and len(node.args) == 3:
                yield place, remedy_of(text_of(node.args[2], known))


def test_every_message_in_the_source_has_a_remedy() -> None:
    found = list(raised())
    assert len(found) > 60, f"only {len(found)} messages: they are not found any more"
    bare = [
        f"{place}: {remedy}"
        for place, remedy in found
        if not begins_with_a_verb(remedy) and remedy not in PASSED_ON
    ]
    assert not bare, "no verb of VERBS begins the remedy:\n" + "\n".join(bare)


EDITS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    **{f"graph {k}": ("dynamic", edit) for k, (edit, _) in test_read_graph.EDITS.items()},
    **{f"node {k}": (model, edit) for k, (model, edit, _) in test_check.WRONG.items()},
    **{f"value {k}": (m, edit) for k, (m, edit, _) in test_check_operands.WRONG.items()},
}


def test_every_wrong_file_has_a_remedy(tmp_path: Path) -> None:
    file, bare = tmp_path / "m.rq", []
    for name, (model, edit) in EDITS.items():
        file.write_bytes(edited(model, edit))
        with pytest.raises((FormatError, UnsupportedError)) as caught:
            Session(file, threads=1)
        error = caught.value
        remedy = remedy_of(error.remedy if isinstance(error, FormatError) else str(error))
        if not begins_with_a_verb(remedy) or "\n" in str(error):
            bare.append(f"{name}: {error}")
    assert not bare, "no remedy:\n" + "\n".join(bare)


@pytest.mark.parametrize("content", [b"", b"text" * 99, "cut", "flipped", "longer"])
def test_every_damaged_file_has_a_remedy(content: bytes | str, tmp_path: Path) -> None:
    good = file_of("weight_only")
    damaged = {
        "cut": good[:-1], "longer": good + b"\0",
        "flipped": good[:-3] + bytes([good[-3] ^ 1]) + good[-2:],
    }  # fmt: skip
    (tmp_path / "m.rq").write_bytes(damaged[content] if isinstance(content, str) else content)
    for path in (tmp_path / "m.rq", tmp_path / "none.rq", tmp_path):
        with pytest.raises(FormatError) as caught:
            Session(path, threads=1)
        assert begins_with_a_verb(remedy_of(caught.value.remedy)), str(caught.value)


def test_every_wrong_use_of_a_session_has_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "m.rq"
    file.write_bytes(file_of("weight_only"))
    closed = Session(file, threads=1)
    closed.close()
    uses: list[Callable[[], Any]] = [
        lambda: Session(3, threads=1),  # type: ignore[arg-type]
        lambda: Session(file, threads=0),
        lambda: Session(file, threads=999),
        lambda: Session(file, threads=1).run({}),
        lambda: Session(file, threads=1).run([]),  # type: ignore[arg-type]
        lambda: Session(file, threads=1).run({"x": 1}),
        closed.invoke,
    ]
    messages = [sentence for _, sentence in test_feeds.FAULTS.values()]
    for use in uses:
        with pytest.raises(InputError) as caught:
            use()
        messages.append(str(caught.value))
    monkeypatch.setenv("REFQUANT_ISA", "mmx")
    with pytest.raises(InputError) as caught:
        Session(file)
    messages.append(str(caught.value))
    bare = [message for message in messages if not begins_with_a_verb(remedy_of(message))]
    assert not bare, "no remedy:\n" + "\n".join(bare)
