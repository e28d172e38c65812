"""A user's own code runs in the folder in which the user gave the command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.worker.own_code import OwnCode


def test_relative_path_of_a_case_is_of_the_user_s_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the test began is gone back to at its end
    monkeypatch.setattr(sys, "stdin", sys.stdin)
    for name in ("path", "argv"):  # the process is left to the user's code, here the test's own
        monkeypatch.setattr(sys, name, [*getattr(sys, name)])
    (tmp_path / "mine").mkdir()
    nothing: Any = None
    worker = OwnCode("fake", nothing, nothing, nothing)
    for folder in ("mine", "absent"):  # without such a folder, the one before stays
        case: Any = {"source": {"file": "my_case.py"}, "folder": str(tmp_path / folder)}
        with worker._own_process(case):
            assert Path.cwd() == tmp_path / "mine"
        sys.stdin.close()
