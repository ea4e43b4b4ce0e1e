"""OpenVINO's adapter where OpenVINO is not: what to install. See ``tests/outsiders`` for it."""

import importlib.util

import pytest

from refquant_conformance.adapters import MissingBackendError
from refquant_conformance.adapters.openvino import OpenVino


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingBackendError, match=r"refquant-conformance\[openvino\]"):
        OpenVino()
