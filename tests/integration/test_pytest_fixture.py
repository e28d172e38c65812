"""The fixture ``cascade`` in a user's own project, with a conftest and with pytest-xdist."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.paths import ROOT
from tests.helpers.machine_speed import least_reading
from tests.helpers.own_code import example_of_both, write_fake_suite

CONFTEST = """
import pytest

@pytest.fixture
def mine():
    return 7
"""
TESTS = """
import pytest
from pathlib import Path
from cascade_bench import client, suite

def test_own_fixtures_go_on_as_they_were(mine):
    assert mine == 7

def test_frozen_and_flow_fail_in_one_line(cascade):
    with pytest.raises(ValueError, match="nothing to judge"):
        cascade.assert_flow(lambda: None, {})
    with pytest.raises(ValueError, match="holds no tensor"):
        cascade.assert_frozen(lambda: None, [])

def test_case_that_is_none(cascade):
    cascade.compare("gone.py")
"""


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a user's tests there, with the fixture's plugin as its only one beside pytest's."""
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "cascade_bench.plugin", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_mine.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    return tmp_path


def test_fixture_stands_beside_a_projects_own(project: Path) -> None:
    done = run_pytest(project)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    assert "1 failed" in done.stdout
    assert "there is no file" in done.stdout
    assert "Traceback" not in done.stdout
    assert "plugin.py" not in done.stdout  # the user's line fails, not ours


def test_under_xdist_it_refuses_to_time_in_one_line(project: Path) -> None:
    pytest.importorskip("xdist")
    done = run_pytest(project, "-p", "xdist.plugin", "-n", "1", "-k", "none or mine or own")
    assert "cascade.compare measures time, and under pytest-xdist other tests run" in done.stdout
    assert "there is no file" not in done.stdout
    assert "2 passed" in done.stdout


BOTH = """
from pathlib import Path
import pytest
from cascade_bench import suite

def test_both_frameworks_of_a_file(cascade):
    result = cascade.compare("both.py", budget=7, progress=False)
    assert result.framework_ratio("summed").baseline == "torch's summed"
    assert result.pair["problem"] is None
    assert set(result.flows) == {"torch", "jax"}
    with pytest.raises(ValueError, match="give framework="):
        result.ratio("separate_retained")
    assert result.ratio("separate_retained", framework="jax").estimate > 1.0
"""
FAKED = """
import pytest
from pathlib import Path

@pytest.fixture(autouse=True)
def _fake(monkeypatch):
    from cascade_bench import suite
    monkeypatch.setattr(suite, "folder", lambda: Path(FOLDER))
"""


def write_both(folder: Path) -> None:
    """Write the file with both frameworks that the documentation shows first, and its test."""
    shutil.copy(ROOT / "examples" / "both_frameworks.py", folder / "both.py")
    (folder / "test_both.py").write_text(BOTH)


def test_fixture_compares_both_frameworks_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_both(tmp_path)
    fake = write_fake_suite(tmp_path)
    (tmp_path / "conftest.py").write_text(FAKED.replace("FOLDER", repr(str(fake))))
    (tmp_path / "document.json").write_text(json.dumps(example_of_both()))
    monkeypatch.setenv("FAKE_DOCUMENT", str(tmp_path / "document.json"))
    monkeypatch.setenv("FAKE_SEEN", str(tmp_path / "seen.json"))
    done = run_pytest(tmp_path, "test_both.py")
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    request = json.loads((tmp_path / "seen.json").read_text())["request"]
    assert request["case"] == {"file": str(tmp_path / "both.py"), "function": None}
    assert (request["framework"], request["budget_seconds"]) == (None, 7.0)


@pytest.mark.slow
@pytest.mark.serial
def test_fixture_measures_both_frameworks_of_a_file(tmp_path: Path) -> None:
    for framework in ("torch", "jax"):
        pytest.importorskip(framework)
    write_both(tmp_path)
    text = BOTH.replace("budget=7", 'launches=2, phases=["gradient"], ways=["separate_retained"]')
    (tmp_path / "test_both.py").write_text(text.replace("> 1.0", "> 0.0"))
    done = run_pytest(tmp_path, "test_both.py")
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.serial
def test_plugin_costs_a_session_less_than_50_ms() -> None:
    script = (
        "import pytest, time; start = time.process_time(); import cascade_bench.plugin;"
        "print(time.process_time() - start)"
    )

    def read() -> float:
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return float(done.stdout)

    assert least_reading(read, bar=0.05) < 0.05


@pytest.mark.serial
def test_passing_a_command_on_costs_less_than_60_ms(tmp_path: Path) -> None:
    """Hold what it costs to the start of an interpreter, which takes 35 ms where it took 42."""
    suite = write_fake_suite(tmp_path)
    (suite / "benchmarks" / "cli.py").write_text("import sys; assert sys.argv[1:] == ['list']")
    passing_on = (
        "from pathlib import Path; from cascade_bench import cli, suite;"
        f"suite.folder = lambda: Path({str(suite)!r}); cli.main(['list'])"
    )
    direct = f"import sys; sys.path.insert(0, {str(suite)!r}); sys.argv[1:] = ['list'];" + (
        "import benchmarks.cli"
    )
    commands = (passing_on, direct, "pass")
    rounds = [[cpu_seconds(script) for script in commands] for _ in range(3)]
    longer, shorter, start = map(min, zip(*rounds, strict=True))
    assert longer - shorter < 2.0 * start, rounds  # 1.1 to 1.2; a third start would make it 2.1


def cpu_seconds(script: str) -> float:
    """Return the CPU time of a Python process: what else runs on the machine counts little."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
