"""Fetching assets: what is wrong never appears, what is right is left alone. No network."""

import hashlib
import importlib.util
import io
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
CONTENT = {"a.bin": b"first", "sub/b.bin": b"second" * 1000}


def load() -> ModuleType:
    """Return the script as a module; it belongs to no package."""
    spec = importlib.util.spec_from_file_location("fetch", ROOT / "examples/assets/fetch.py")
    assert spec is not None, "no script"
    assert spec.loader is not None, "no script"
    module = importlib.util.module_from_spec(spec)
    sys.modules["fetch"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


fetch: Any = load()


def pin(data: bytes) -> str:
    return f'{{ bytes = {len(data)}, sha256 = "{hashlib.sha256(data).hexdigest()}" }}'


def manifest(folder: Path, *, package: str = "pypi:tiny==1", **changed: bytes) -> Path:
    """Pin `CONTENT`, or what ``changed`` says (with _ for what is no letter)."""
    lines = [f'[tiny]\nlicence = "MIT"\npackage = "{package}"\ninside = "tiny/"\n[tiny.files]']
    lines += [f'"{n}" = {pin(changed.get(n[0], data))}' for n, data in CONTENT.items()]
    path = folder / "assets.toml"
    path.write_text("\n".join(lines))
    return path


def wheel(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil", b"never unpacked")
        for name, data in CONTENT.items():
            archive.writestr(f"tiny/{name}", data)


def tgz(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in {**CONTENT, "../evil": b"never unpacked"}.items():
            entry = tarfile.TarInfo(f"tiny/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo("tiny/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)


Registry = dict[str, int]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Package managers that make the package here; the number of times they were asked."""
    asked: Registry = {"times": 0}

    def run(command: list[str], folder: Path) -> None:
        asked["times"] += 1
        if command[0] == "npm":
            tgz(folder / "tiny-1.tgz")
        else:
            wheel(folder / "tiny-1-py3-none-any.whl")

    monkeypatch.setattr(fetch, "run", run)
    return asked


Call = Callable[..., int]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    def main(path: Path, *names: str) -> int:
        arguments = [*names, "--manifest", str(path), "--output", str(tmp_path / "out")]
        code: int = fetch.main(arguments)
        return code

    return main


def found(folder: Path) -> dict[str, bytes]:
    here = folder / "out" / "tiny"
    return {p.relative_to(here).as_posix(): p.read_bytes() for p in here.rglob("*") if p.is_file()}


@pytest.mark.parametrize("package", ["pypi:tiny==1", "npm:tiny@1"])
def test_the_named_files_come_and_nothing_else(
    package: str, registry: Registry, call: Call, tmp_path: Path
) -> None:
    assert call(manifest(tmp_path, package=package)) == 0, "failed"
    assert found(tmp_path) == CONTENT, f"{list(found(tmp_path))}"
    assert not list(tmp_path.rglob("evil")), "a path of the archive was used"


def test_what_is_right_is_left_alone_and_what_is_not_is_mended(
    registry: Registry, call: Call, tmp_path: Path
) -> None:
    path = manifest(tmp_path)
    assert call(path) == 0, "failed"
    good = tmp_path / "out" / "tiny" / "a.bin"
    stamp = good.stat().st_mtime_ns
    assert call(path) == 0, "failed"
    assert registry["times"] == 1, "fetched again"
    for damage in (b"SECOND" * 1000, b"short", b""):
        (tmp_path / "out" / "tiny" / "sub" / "b.bin").write_bytes(damage)
        assert call(path) == 0, "failed"
        assert found(tmp_path) == CONTENT, f"{damage!r} was not mended"
    assert good.stat().st_mtime_ns == stamp, "the good file was written again"


def test_a_stream_that_does_not_end_does_not_fill_the_disk(tmp_path: Path) -> None:
    class Endless(io.RawIOBase):
        asked = 0

        def read(self, size: int = -1) -> bytes:
            self.asked += 1
            assert self.asked < 10, "it is still being written"
            return bytes(size)

    with pytest.raises(fetch.AssetError, match="do not use it"):
        fetch.save(Endless(), tmp_path / "x", fetch.Pin(5, "0" * 64))
    assert not list(tmp_path.iterdir()), "something was left behind"


@pytest.mark.parametrize("change", [b"other", b"firs", b"first longer"])
def test_a_file_of_another_hash_or_size_never_appears(
    change: bytes, registry: Registry, call: Call, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert call(manifest(tmp_path, a=change)) == 1, "the exit code says it"
    assert "a.bin" not in found(tmp_path), "a wrong file is there"
    assert not list(tmp_path.rglob("*.tmp")), "something was left behind"
    said = capsys.readouterr().err
    assert "do not use it" in said, said
    assert said.count("\n") == 1, f"more than a sentence: {said}"


def test_a_file_that_the_package_lacks_is_named(
    registry: Registry, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = manifest(tmp_path)
    path.write_text(path.read_text().replace("sub/b.bin", "sub/c.bin"))
    assert call(path) == 1, "the exit code says it"
    assert "has no file tiny/sub/c.bin" in capsys.readouterr().err, "not named"


def test_a_failing_asset_does_not_stop_the_others(
    registry: Registry, call: Call, tmp_path: Path
) -> None:
    path = manifest(tmp_path)
    bad = path.read_text().replace("[tiny", "[bad").replace("inside = ", 'inside = "x/" #')
    path.write_text(bad + "\n" + path.read_text())
    assert call(path) == 1, "the exit code says it"
    assert found(tmp_path) == CONTENT, "the other one did not come"


def test_an_unknown_name_is_wrong_usage(
    registry: Registry, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(manifest(tmp_path), "huge") == 2, "exit code"
    assert "no asset 'huge'; there are tiny" in capsys.readouterr().err, "not said"
    assert registry["times"] == 0, "something was fetched"


@pytest.mark.parametrize(
    ("old", "new", "phrase"),
    [
        ("pypi:tiny==1", "ftp:tiny", "SOURCE one of pypi, npm, debian"),
        ("pypi:tiny==1", "pypi:", "SOURCE:NAME"),
        ("pypi:tiny==1", "pypi:--index-url=x", "SOURCE:NAME"),
        ("a.bin", "../a.bin", "plain relative path"),
        ("a.bin", "/a.bin", "plain relative path"),
        ("a.bin", ".a.bin", "plain relative path"),
        ("bytes = 5", "bytes = -5", "must have bytes"),
        ("bytes = 5", 'bytes = "5"', "must have bytes"),
        ("sha256 = ", "sha1 = ", "must have bytes"),
        ('licence = "MIT"', "", "a licence"),
        ("[tiny]", "[tiny", "fetch: "),
    ],
)
def test_a_manifest_that_is_wrong_is_one_sentence(
    old: str, new: str, phrase: str, registry: Registry, call: Call, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = manifest(tmp_path)
    path.write_text(path.read_text().replace(old, new))
    assert call(path) == 1, "the exit code says it"
    said = capsys.readouterr().err
    assert phrase in said, said
    assert said.count("\n") == 1, f"more than a sentence: {said}"
    assert registry["times"] == 0, "something was fetched"


def test_a_tool_that_is_missing_or_fails_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(fetch.AssetError, match="there is no no-such-tool on this machine"):
        fetch.run(["no-such-tool"], tmp_path)
    script = "import sys; sys.exit('one\\ntwo')"
    with pytest.raises(fetch.AssetError, match="two; check the network, and try again"):
        fetch.run([sys.executable, "-c", script], tmp_path)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="only Debian's tool makes its format")
def test_a_debian_package_is_read(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: none\n"
    )
    (tree / "usr").mkdir()
    (tree / "usr" / "a.bin").write_bytes(b"first")
    fetch.run(["dpkg-deb", "--build", str(tree), str(tmp_path / "tiny.deb")], tmp_path)
    got = {n: s.read() for n, s in fetch.members(tmp_path / "tiny.deb", {"usr/a.bin", "usr/x"})}
    assert got == {"usr/a.bin": b"first"}, f"{got}"


def test_the_manifest_of_the_repository_is_right() -> None:
    assets = fetch.read_manifest(ROOT / "assets.toml")
    assert "smollm2" in assets, f"{list(assets)}"
    for asset in assets.values():
        assert asset.files, f"{asset.name} lists no files"
        assert asset.source != "pypi" or "==" in asset.package, f"{asset.name}: no version"
        assert asset.source != "npm" or "@" in asset.package[1:], f"{asset.name}: no version"
