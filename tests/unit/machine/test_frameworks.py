"""Test what is said about frameworks that are not installed."""

from __future__ import annotations

import pytest

from benchmarks.machine import environment, frameworks


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the installed packages, all that are needed, for a test to change."""
    versions = {name: "1.2.3" for names in frameworks.NEEDED.values() for name in names}
    monkeypatch.setattr(environment, "installed", versions.get)
    return versions


def test_framework_is_present_with_all_of_its_packages(installed: dict[str, str]) -> None:
    assert frameworks.present() == ["torch", "jax"]
    assert frameworks.why_missing("jax") == ""
    del installed["optax"]
    assert frameworks.present() == ["torch"]
    assert frameworks.why_missing("jax").startswith("jax needs optax, not installed here: pip ")
    installed.clear()
    assert frameworks.present() == []
    assert frameworks.why_missing("jax").startswith("jax is not installed here: pip install")
    assert "(jax, flax and optax)" in frameworks.none_installed()
