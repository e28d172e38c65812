"""The stand-in for the suite that the client's tests start."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cascade_bench import suite
from tests.helpers.own_code import example_document, write_fake_suite


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """Stand in a folder with a fake suite; return a function that tells what that was given."""
    fake = write_fake_suite(tmp_path)
    (tmp_path / "document.json").write_text(json.dumps(example_document()))
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.chdir(user)
    monkeypatch.setattr(suite, "folder", lambda: fake)
    monkeypatch.setenv("FAKE_DOCUMENT", str(tmp_path / "document.json"))
    monkeypatch.setenv("FAKE_SEEN", str(tmp_path / "seen.json"))
    return lambda: dict(json.loads((tmp_path / "seen.json").read_text()))
