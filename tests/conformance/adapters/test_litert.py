"""LiteRT's adapter where LiteRT is not: it says what to install. See ``tests/outsiders`` for it."""

import pytest

from refquant_conformance.adapters import BackendError, MissingBackendError, load_backend


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(module: str) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module.partition(".")[0])

    from refquant_conformance.adapters.litert import LiteRt

    monkeypatch.setattr("importlib.import_module", nothing)
    with pytest.raises(MissingBackendError, match=r"refquant-conformance\[litert\]"):
        LiteRt("builtin")


def test_a_setting_that_is_none_is_refused_before_anything_is_imported() -> None:
    with pytest.raises(BackendError, match="xnnpack, builtin, reference"):
        load_backend("litert:fast")
