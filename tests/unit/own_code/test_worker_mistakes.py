"""What the user of a case is told where the worker itself failed: what it was, and what to do."""

from __future__ import annotations

import shlex
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.launches.worker_errors import WorkerFailed
from benchmarks.harness.worker.case_files import mistake
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


@pytest.mark.parametrize(
    ("message", "is_missing"),
    [
        ("Could not run 'aten::eq' with arguments from the 'SparseCPU' backend. "
         "'aten::eq' is only available for these backends: [CPU, CUDA, Meta].", False),
        ("Could not run 'aten::empty' with arguments from the 'CUDA' backend. "
         "'aten::empty' is only available for these backends: [CPU, Meta].", True),
    ],
)  # fmt: skip
def test_list_of_backends_in_an_error_is_no_missing_device(message: str, is_missing: bool) -> None:
    told = mistake(NotImplementedError(message), None, {"file": "my_case.py"}, "")
    assert told["mend"].startswith("build the case on the CPU") == is_missing
