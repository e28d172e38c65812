"""What the user of a case is told where the worker itself failed: what it was, and what to do."""

from __future__ import annotations

import shlex
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.launches.worker_errors import WorkerFailed
from benchmarks.machine import environment
from benchmarks.own_code.session import Session
from results.records.installing import install_command


@pytest.mark.parametrize("installed", [True, False])
def test_framework_that_fails_to_start_is_to_be_installed_only_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    monkeypatch.setattr(environment, "installed", lambda _: "1.0" if installed else None)
    session: Any = Session.__new__(Session)
    session.request = SimpleNamespace(file="my_case.py")
    error = WorkerFailed({"type": "ModuleNotFoundError", "message": "No module named 'jax'"})
    mistake = session._worker_mistake(error, "jax")
    assert mistake["message"] == "jax: No module named 'jax'"
    if installed:
        assert mistake["mend"].startswith("every package that it needs is installed: import it")
    else:
        assert mistake["mend"] == f"install it: {install_command('jax')}"
        assert shlex.split(mistake["mend"])[-1].endswith("[jax]")  # a shell leaves it as it is
