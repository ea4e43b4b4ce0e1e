"""What CONTRIBUTING.md promises of the repository, as far as a test can check it.

Every exception to a rule stands in one of the tables below, with its reason; one that is no longer
needed is a failure too.
"""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {  # package -> its tests
    "refquant": "tests/refquant",
    "runtime/refquant_runtime": "tests/runtime",
    "conformance/refquant_conformance": "tests/conformance",
}
PROJECTS = {".": "refquant", "runtime": "refquant_runtime", "conformance": "refquant_conformance"}
TARGETS = [
    *("venv", "demo", "test", "lint", "types", "docs", "conformance", "conformance-exhaustive"),
    *("atlas", "models", "browser", "outsiders", "arm", "bench", "assets", "clean"),
]

MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_README_LINES = 250, 40, 60

RUNTIME_VERSION = "runtime/refquant_runtime/version.py"

# Patterns of `path` or `path:function`, each with its reason.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
WITHOUT_MIRRORED_TEST: dict[str, str] = {
    "refquant/model/shapes_*.py": "inside of `infer_shapes`: test_shapes.py breaks every rule",
    "refquant/model/importers/tflite_*.py": "inside of `import_tflite`: test_tflite_parts.py",
    "refquant/model/importers/onnx_lower_*.py": "inside of `LOWER`: test_onnx_lower.py",
    "refquant/model/importers/onnx_on_codes.py": "what a pair is fused to: test_onnx_qdq.py",
    "refquant/model/importers/onnx_dynamic.py": "in the models of test_onnx_qoperator.py",
    "refquant/model/importers/onnx_items.py": "dataclasses of test_onnx_scope.py",
    "conformance/refquant_conformance/excuse.py": "what deviations do: test_deviations.py",
    "conformance/refquant_conformance/inquiry.py": "one cell at a time: test_judge.py",
    "conformance/refquant_conformance/operators_tables.py": "data, read by test_operators.py",
    "conformance/refquant_conformance/oracle_fake_quantize.py": "test_fake_quantize.py",
    "conformance/refquant_conformance/properties/claims.py": "mutants/test_hosts.py",
    "conformance/refquant_conformance/properties/layouts.py": "mutants/test_hosts.py",
    "conformance/refquant_conformance/properties/settings.py": "mutants/test_hosts.py",
    "conformance/refquant_conformance/suite/test_backend.py": "run by test_plugin.py",
}
WITHOUT_DOCTEST: dict[str, str] = {
    "refquant/numerics/requantize*.py:*": "the modes are shown side by side, in `requantize`",
    "refquant/model/rq*.py:*": "needs a whole file; the round trip is in the tests",
    "refquant/model/shapes_*.py:*": "inside of the package: one rule an operator, called by name",
    "refquant/model/validate*.py:*": "inside of the package: raises, or returns nothing",
    "refquant/model/importers/tflite*.py:*": "inside of the package: one step of `import_tflite`",
    "refquant/model/importers/onnx_*.py:*": "inside of the package: one step of `import_onnx`",
    "refquant/model/exporters/onnx_*.py:*": "inside of the package: one step of `write_onnx`",
    "refquant/model/execute_node.py:*": "inside of the package: one step of `run`",
}


def modules() -> Iterator[Path]:
    """Every module of the three packages, except those that only name a package or start it."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name not in ("__init__.py", "__main__.py"):
                yield path


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def project(folder: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text())


def tracked() -> list[Path]:
    """The files of the repository that are text of ours."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    kinds = {".py", ".md", ".toml", ".txt", ".rst", ""}
    return [ROOT / name for name in listed if Path(name).suffix in kinds and (ROOT / name).exists()]


def matches(name: str, exceptions: dict[str, str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in exceptions)


def expect(offenders: list[str], exceptions: dict[str, str], rule: str) -> None:
    """The offenders are exactly those that match a listed exception; none of these is stale."""
    names = [offender.split(" ")[0] for offender in offenders]
    new = [o for o, n in zip(offenders, names, strict=True) if not matches(n, exceptions)]
    stale = [pattern for pattern in exceptions if not any(fnmatch(n, pattern) for n in names)]
    assert not new, f"{rule}:\n  " + "\n  ".join(new)
    assert not stale, f"exceptions that are no longer needed ({rule}):\n  " + "\n  ".join(stale)


def test_every_module_has_a_mirrored_test() -> None:
    offenders = []
    for path in modules():
        package = next(p for p in PACKAGES if short(path).startswith(p + "/"))
        inside = path.relative_to(ROOT / package)
        test = ROOT / PACKAGES[package] / inside.parent / f"test_{inside.name}"
        if not test.exists():
            offenders.append(f"{short(path)} has no {short(test)}")
    expect(offenders, WITHOUT_MIRRORED_TEST, "a module has a test file of its name")


def test_files_are_short() -> None:
    offenders = []
    for path in modules():
        lines = len(path.read_text().splitlines())
        if lines > MAX_FILE_LINES:
            offenders.append(f"{short(path)} has {lines} lines")
    expect(offenders, LONG_FILES, f"a file has at most {MAX_FILE_LINES} lines")


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, without the docstring."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def test_functions_are_short() -> None:
    offenders = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = body_lines(node)
                if lines > MAX_FUNCTION_LINES:
                    offenders.append(f"{short(path)}:{node.name} has {lines} lines")
    rule = f"a function has at most {MAX_FUNCTION_LINES} lines, not counting its docstring"
    expect(offenders, LONG_FUNCTIONS, rule)


def test_every_public_function_of_the_reference_has_a_doctest() -> None:
    offenders = []
    for path in modules():
        # The command line prints and reads files: its tests run it.
        if not short(path).startswith("refquant/") or short(path).startswith("refquant/cli/"):
            continue
        functions = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef)]
        offenders += [
            f"{short(path)}:{function.name}"
            for function in functions
            if function.name[0] != "_" and ">>>" not in (ast.get_docstring(function) or "")
        ]
    expect(offenders, WITHOUT_DOCTEST, "a public function has a doctest")


def test_every_module_says_what_it_is() -> None:
    silent = [short(p) for p in modules() if not ast.get_docstring(ast.parse(p.read_text()))]
    assert not silent, f"modules without a docstring: {silent}"


def test_the_three_distributions_agree() -> None:
    tables = {folder: project(folder)["project"] for folder in PROJECTS}
    versions = {folder: table["version"] for folder, table in tables.items()}
    assert len(set(versions.values())) == 1, f"versions differ: {versions}"
    said = re.findall(
        r'^__version__ = "(.*)"', (ROOT / RUNTIME_VERSION).read_text(), flags=re.MULTILINE
    )
    assert said == [versions["runtime"]], f"{RUNTIME_VERSION} says {said}"
    pin = f"refquant=={versions['.']}"
    assert pin in tables["conformance"]["dependencies"], f"conformance does not pin {pin}"
    for folder, table in tables.items():
        assert table["license"] == "Apache-2.0", f"{folder}: {table['license']}"
        assert table["requires-python"] == ">=3.11", f"{folder}: {table['requires-python']}"
        licence = (ROOT / folder / "LICENSE").read_bytes()
        assert licence == (ROOT / "LICENSE").read_bytes(), f"{folder}/LICENSE differs"


@pytest.mark.parametrize(
    ("folder", "needs"),
    [
        (".", {"numpy"}),
        ("runtime", {"numpy", "numba"}),
        ("conformance", {"refquant", "hypothesis", "packaging", "pytest", "scipy"}),
    ],
)
def test_a_distribution_needs_exactly(folder: str, needs: set[str]) -> None:
    listed = project(folder)["project"]["dependencies"]
    names = {re.split(r"[<>=!~\[ ]", requirement)[0] for requirement in listed}
    assert names == needs, f"{folder} needs {names}"


@pytest.mark.parametrize(("folder", "package"), PROJECTS.items())
def test_a_wheel_holds_its_package_and_nothing_else(
    folder: str, package: str, tmp_path: Path
) -> None:
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT / folder)).build(directory=str(tmp_path))
    names = zipfile.ZipFile(wheel).namelist()
    strangers = [n for n in names if not re.match(rf"{package}/|{package}-[^/]*\.dist-info/", n)]
    assert not strangers, f"the wheel of {package} holds {strangers}"
    assert f"{package}/py.typed" in names, f"{package} lacks py.typed"
    assets = {short(p) for p in (ROOT / "refquant/cli/assets").glob("*.npz")}
    assets |= {short(p) for p in (ROOT / "refquant/report").glob("*.jinja")}
    assert folder != "." or assets <= set(names), f"the wheel lacks {assets - set(names)}"


def test_the_import_contracts_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_mentions_a_place_on_somebodys_machine() -> None:
    place = re.compile(r"(?<![\w.])/(?:home|root|Users|work)/\w")
    offenders = [
        f"{short(path)}:{number}"
        for path in tracked()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if place.search(line)
    ]
    assert not offenders, f"absolute paths of a machine: {offenders}"


def test_links_between_pages_lead_somewhere() -> None:
    link = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
    offenders = [
        f"{short(page)} -> {target}"
        for page in tracked()
        if page.suffix == ".md"
        for target in link.findall(page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not offenders, f"dead links: {offenders}"


def test_the_readme_is_one_screen() -> None:
    lines = len((ROOT / "README.md").read_text().splitlines())
    assert lines <= MAX_README_LINES, f"README.md has {lines} lines"


def test_the_makefile_has_every_target() -> None:
    rules = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(TARGETS) <= set(rules), f"missing: {set(TARGETS) - set(rules)}"
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    missing = [target for target in TARGETS if f"make {target}" not in done.stdout]
    assert not missing, f"`make help` does not list {missing}"


CONSTRAINTS = ["constraints.txt", "constraints-outsiders.txt"]


def pins(name: str) -> dict[str, str]:
    """Distribution, as pip compares names, -> version."""
    found = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / name).read_text(), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", dist).lower(): version for dist, version in found}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints_are_exact(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    loose = [line for line in lines if not re.match(r"#|$|[\w.-]+==[\w.]+$", line)]
    assert not loose, f"{name} does not pin {loose}"
    listed = [line for line in lines if "==" in line]
    assert len(listed) == len(pins(name)), f"{name} pins a package twice"


def test_constraints_have_what_is_asked_for() -> None:
    extras = project(".")["project"]["optional-dependencies"]
    wanted = {re.split(r"[<>=\[]", r)[0] for extra in ("dev", "docs") for r in extras[extra]}
    missing = {name.replace("_", "-") for name in wanted} - set(pins("constraints.txt"))
    assert not missing - {"refquant"}, f"constraints.txt lacks {missing}"


def test_both_constraints_agree() -> None:
    ours, theirs = map(pins, CONSTRAINTS)
    differ = [n for n in ours.keys() & theirs.keys() if ours[n] != theirs[n]]
    assert not differ, f"constraints.txt and constraints-outsiders.txt differ in {differ}"


def outsider_tests() -> list[Path]:
    return sorted((ROOT / "tests/outsiders").glob("test_*.py"))


def test_outsiders_are_asked_by_their_own_target() -> None:
    unmarked = [short(p) for p in outsider_tests() if "pytest.mark.torch" not in p.read_text()]
    assert not unmarked, f"without `pytestmark = pytest.mark.torch` nothing runs {unmarked}"


def test_outsiders_are_measured_at_the_versions_that_are_pinned() -> None:
    pinned = pins("constraints-outsiders.txt")
    pages = [*outsider_tests(), *(ROOT / "refquant/contracts").glob("presets_*.py")]
    wrong = [
        f"{short(page)} says {name} {version}, pinned is {pinned[name.lower()]}"
        for page in pages
        for name, version in re.findall(r"([A-Za-z][\w-]+) (\d+(?:\.\w+)+)", page.read_text())
        if pinned.get(name.lower(), version) != version
    ]
    assert not wrong, "other versions than `make outsiders` installs:\n  " + "\n  ".join(wrong)
