"""`compare`: what the suite's process is given, and what becomes of what it answers."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.paths import ROOT
from cascade_bench import CaseError, compare, suite
from cascade_bench.client import examine

Seen = Callable[[], dict[str, Any]]
SCRIPT = """
import sys
sys.path.insert(0, {root!r})
from cascade_bench import compare, suite
from pathlib import Path
suite.folder = lambda: Path({fake!r})
compare(lambda: None)
"""


def make() -> None: ...


def test_request_holds_what_was_asked_for_and_the_users_folder(seen: Seen) -> None:
    result = compare(
        make, budget=20, framework="jax", phases=("step",), ways=["summed"], launches=3, seed=4,
        progress=False,
    )  # fmt: skip
    request = seen()["request"]
    assert request | {"document": "", "case": ""} == {
        "schema": 1, "command": "compare", "case": "", "framework": "jax", "folder": os.getcwd(),
        "budget_seconds": 20.0, "phases": ["step"], "ways": ["summed"], "launches": 3, "seed": 4,
        "results": f"{os.getcwd()}/.cascade-bench", "document": "",
    }  # fmt: skip
    assert result.document["seconds"] == 41.2


def test_examining_asks_for_the_flow_and_keeps_nothing(seen: Seen) -> None:
    assert examine(make).flow["code"]["head"] == "absent"
    request = seen()["request"]
    assert (request["command"], request["results"]) == ("flow", None)


def test_suite_comes_first_on_the_path_of_its_process_and_of_no_other(
    seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "user" / "benchmarks").mkdir()
    (tmp_path / "user" / "benchmarks" / "__init__.py").write_text("raise SystemExit(99)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "user"))
    monkeypatch.syspath_prepend(tmp_path / "user")
    compare(make, progress=False)
    told = seen()
    assert told["sys_path"][0] == str(tmp_path / "suite")
    assert str(tmp_path / "suite") not in told["path"]
    assert told["path"].split(os.pathsep)[0] == str(tmp_path / "user")
    assert told["inside"] == "1"


def test_function_of_a_test_is_pickled_into_a_private_folder_that_is_removed(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bytes] = []
    value = 41

    def local() -> int:
        return value + 1

    from cascade_bench import process

    def run(request: dict[str, Any], *arguments: Any) -> process.Outcome:
        kept.append(Path(request["case"]["pickle"]).read_bytes())
        return process.run_request(request, *arguments)

    monkeypatch.setattr("cascade_bench.client.run_request", run)
    compare(local, progress=False)
    told = seen()
    assert told["modes"] == ["0o700"]
    assert pickle.loads(kept[0])() == 42
    assert not Path(told["request"]["case"]["pickle"]).parent.exists()


def test_function_that_holds_what_cannot_be_pickled_is_refused(seen: Seen) -> None:
    lock = __import__("threading").Lock()
    with pytest.raises(CaseError, match=r"cannot be sent to another process.*build everything"):
        compare(lambda: lock, progress=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"budget": 0}, "budget is 0; give seconds above 0"),
        ({"budget": float("nan")}, "budget is nan"),
        ({"framework": "tensorflow"}, "give one of torch, jax"),
        ({"launches": 0}, "launches is 0"),
        ({"phases": "step"}, r"give a list: phases=\['step'\]"),
        ({"ways": []}, "ways is empty"),
    ],
)
def test_wrong_argument_is_refused_before_anything_starts(
    seen: Seen, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        compare(make, **arguments)
    with pytest.raises(FileNotFoundError):
        seen()


def test_what_is_no_function_is_refused(seen: Seen) -> None:
    with pytest.raises(CaseError, match="not a dict: other processes call it anew"):
        compare({"networks": 1})  # type: ignore[arg-type]


def test_case_that_cannot_be_run_is_told_in_one_line(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DOES", "refuses")
    with pytest.raises(CaseError, match=r"^c\.py:3: no scalar; take the mean$"):
        compare(make, progress=False)


def test_suite_that_dies_is_told_with_its_last_line(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DOES", "dies")
    with pytest.raises(suite.SuiteError, match="wrote no document: Traceback: no such luck"):
        compare(make, progress=False)


def test_progress_is_told_on_stderr_unless_it_is_switched_off(
    seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    compare(make)
    assert capsys.readouterr().err == "reading the case\n"
    compare(make, progress=False)
    assert capsys.readouterr() == ("", "")


def test_compare_is_refused_in_a_process_that_measures(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(suite.INSIDE, "1")
    with pytest.raises(CaseError, match='under `if __name__ == "__main__":`'):
        compare(make)


def start_waiting(tmp_path: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that compares with a suite that waits; return it once the suite runs."""
    script = SCRIPT.format(root=str(ROOT), fake=str(tmp_path / "suite"))
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=os.environ | {"FAKE_DOES": "waits"},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr
    assert process.stderr.readline() == "reading the case\n"
    return process, tmp_path / "seen.json"


def is_there(path: Path, seconds: float = 10.0) -> bool:
    """Return whether a file appears in time."""
    end = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
    return path.exists()


def test_ctrl_c_stops_the_suite_and_lets_it_keep_what_it_has(seen: Seen, tmp_path: Path) -> None:
    process, file = start_waiting(tmp_path)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert "KeyboardInterrupt: stopped; what was measured is kept in" in said
    assert is_there(Path(f"{file}.stopped"))


def test_suite_ends_with_a_client_that_is_killed(seen: Seen, tmp_path: Path) -> None:
    process, file = start_waiting(tmp_path)
    process.kill()
    process.communicate(timeout=20)
    assert is_there(Path(f"{file}.stopped"))
    assert json.loads(file.read_text())["pid"] != process.pid
