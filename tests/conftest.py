"""Fixtures for the tests of the harness itself."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest

from tests.helpers.fake_framework import Measure, fake_framework


@pytest.fixture(autouse=True, scope="session")
def temporary_folder_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep a session that a test starts from waiting for other runs on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Measure]:
    """Measure strategies of the fake framework in workers that end with the test."""
    with fake_framework(monkeypatch) as pool:
        yield Measure(pool)
