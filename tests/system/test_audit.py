"""The audit's own checks: a table that is up to date, a page that is the table's, earned verdicts.

None of them seeds what the audit seeds: `make audit` does.
"""

from __future__ import annotations

import ast
import re
import threading
import time
from functools import cache
from pathlib import Path

import pytest

from tests import audit
from tests.mutations import AREAS, FAULTS
from tests.mutations.fault import ROOT, Fault, OutOfDate
from tests.mutations.running import Done, Runner, judge

RULE = (
    "tests/unit/harness/protocol/test_equivalence.py::test_absent_zero_and_value_are_three_things"
)
HARMLESS = Fault(
    "harmless",
    "benchmarks/harness/protocol/equivalence.py",
    "``absent``, ``zero`` (every element exactly) or ``value``: three different things.",
    "Three different things.",
    "nothing",
    (RULE,),
)


@cache
def functions(file: str) -> set[str]:
    nodes = ast.parse((ROOT / file).read_text()).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


@cache
def code_of_file(file: str) -> str:
    """Return the part of a file of the project that is run, see `code`."""
    return code((ROOT / file).read_text())


def code(text: str) -> str:
    """Return the part of a file that is run: no docstring, no comment."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            body[:] = [one for one in body if not is_words(one)]
    return ast.dump(tree)


def is_words(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


# The table


@pytest.mark.smoke
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fault_can_be_put_in_and_its_checks_are_there(fault: Fault) -> None:
    assert code(fault.seeded()) != code_of_file(fault.file)
    for check in fault.checks:
        file, _, function = check.partition("::")
        assert function in functions(file), check
    assert "|" not in fault.imitates  # it would end a cell of the table


@pytest.mark.smoke
def test_names_are_unique_and_areas_are_not_empty() -> None:
    assert len(FAULTS) == sum(len(faults) for faults in AREAS.values()) >= 40
    assert all(AREAS.values())


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"old": "no such line"}, r"out of date: harmless: .* 0 times"),
        ({"old": "def "}, r"out of date: harmless: .* \d+ times"),
        ({"file": "benchmarks/gone.py"}, r"out of date: harmless: .* 0 times"),
        ({"old": "def gradient_state(", "new": "def ("}, "is no Python"),
    ],
)
def test_fault_that_cannot_be_put_in_is_out_of_date(change: dict[str, str], message: str) -> None:
    with pytest.raises(OutOfDate, match=message):
        Fault(**(vars(HARMLESS) | change)).seeded()


# The page


@pytest.mark.smoke
def test_page_lists_exactly_the_faults_of_the_table() -> None:
    """Each caught by one of its own checks; where this is red: `python -m tests.audit NAME`."""
    text = audit.PAGE.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    caught = audit.rows_of(text)
    assert list(caught) == list(FAULTS)
    assert rows == [audit.row(FAULTS[name], test) for name, test in caught.items()]
    assert [name for name, test in caught.items() if test not in FAULTS[name].checks] == []


@pytest.mark.smoke
def test_page_says_how_many_faults_and_with_which_versions() -> None:
    text = audit.PAGE.read_text()
    assert f"{len(FAULTS)} faults, all caught, with torch 2." in text
    assert re.search(r"jax \d+\.\S+, flax \d+\.\S+, optax \d+\.\S+\.\n", text)


@pytest.mark.smoke
def test_page_is_the_same_each_time_it_is_made() -> None:
    caught = {name: fault.checks[0] for name, fault in FAULTS.items()}
    assert audit.page(caught) == audit.page(caught)
    assert audit.rows_of(audit.page(caught)) == caught
    assert [line[3:] for line in audit.page(caught).splitlines() if line[:3] == "## "] == list(
        AREAS
    )


# The verdicts


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("done", "outcome"),
    [
        (Done(0, passed=[RULE]), "SURVIVED"),
        (Done(1, failed=[(RULE, "assert 2 == 3")]), "caught"),
        (Done(1, failed=[(RULE, "Failed: DID NOT RAISE <class 'TypeError'>")]), "caught"),
        (Done(1, failed=[(RULE, "WorkerFailed: RuntimeError: a second time")]), "caught"),
        (Done(1, failed=[(RULE, "NameError: name 'x' is not defined")]), "unclear"),
        (Done(1, failed=[(RULE, "launch.WorkerFailed: TypeError: takes 2")]), "unclear"),
        (Done(1, failed=[(RULE, "KeyError: 'net1.w'")]), "unclear"),
        (Done(1, failed=[(RULE, "assert 2")], errors=[(RULE, "fixture")]), "unclear"),
        (Done(1, errors=[(RULE, "fixture 'x' not found")]), "unclear"),
        (Done(1, failed=[("tests/other.py::test", "assert 2")]), "unclear"),
        (Done(2, errors=[("", "collection failure")]), "unclear"),
        (Done(4), "unclear"),
        (Done(5), "unclear"),
        (Done(None), "unclear"),
    ],
)
def test_caught_is_only_what_failed_in_one_of_its_checks(done: Done, outcome: str) -> None:
    assert judge(HARMLESS, done).outcome == outcome


THREE = """
import pytest

@pytest.fixture
def broken():
    raise RuntimeError

def test_right(): pass
def test_wrong(): assert 1 == 2
def test_without_its_fixture(broken): pass
@pytest.mark.skip
def test_left_out(): pass
"""


@pytest.mark.smoke
def test_failures_errors_and_skips_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "test_three.py").write_text(THREE)
    done = Runner().run(tmp_path, ["test_three.py"], tmp_path / "r.xml", first=False)
    assert done.code == 1
    assert done.passed == ["test_three.py::test_right"]
    assert [test for test, _ in done.failed] == ["test_three.py::test_wrong"]
    assert [test for test, _ in done.errors] == ["test_three.py::test_without_its_fixture"]
    assert "assert 1 == 2" in done.failed[0][1]


def test_stopping_ends_what_runs_and_what_hangs_ends_at_its_limit(tmp_path: Path) -> None:
    (tmp_path / "test_hangs.py").write_text("import time\ndef test(): time.sleep(600)\n")
    assert Runner().run(tmp_path, ["test_hangs.py"], tmp_path / "r.xml", limit=0.5).code is None
    runner, start = Runner(), time.monotonic()
    threading.Timer(0.5, runner.stop).start()
    assert runner.run(tmp_path, ["test_hangs.py"], tmp_path / "r.xml").code != 1
    assert runner.run(tmp_path, ["test_hangs.py"], tmp_path / "r.xml").code is None  # none after it
    assert time.monotonic() - start < 60.0


# The whole


def audited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Fault) -> int:
    monkeypatch.setattr(audit, "FAULTS", {fault.name: fault})
    monkeypatch.setattr(audit, "PAGE", tmp_path / "audit.md")
    return audit.main([])


def test_fault_that_survives_fails_the_audit_and_writes_no_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited(monkeypatch, tmp_path, HARMLESS) == audit.SURVIVED
    printed = capsys.readouterr().out
    assert "0 of 1 faults caught" in printed
    assert "SURVIVED: harmless (benchmarks/harness/protocol/equivalence.py)" in printed
    assert not (tmp_path / "audit.md").exists()


@pytest.mark.smoke
def test_one_fault_tried_alone_changes_its_row_and_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "PAGE", tmp_path / "audit.md")
    caught = {name: fault.checks[0] for name, fault in FAULTS.items()}
    one = next(iter(FAULTS))
    audit._write({one: "tests/test_a.py::test_b"})
    assert "run: make audit" in capsys.readouterr().out
    audit._write(caught)
    audit._write({one: "tests/test_a.py::test_b"})
    changed = audit.rows_of((tmp_path / "audit.md").read_text())
    assert changed == caught | {one: "tests/test_a.py::test_b"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"checks": ("tests/unit/harness/protocol/test_equivalence.py::test_gone",)},
            "not green without a fault",
        ),
        ({"narrow": "nothing_is_called_so"}, "not green without a fault"),
        ({"old": "no such line"}, "the audit is out of date: harmless"),
    ],
)
def test_audit_that_would_prove_nothing_says_so(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, str],
    message: str,
) -> None:
    fault = Fault(**(vars(HARMLESS) | change))
    assert audited(monkeypatch, tmp_path, fault) == audit.UNTRUSTED
    assert message in capsys.readouterr().err


@pytest.mark.smoke
def test_fault_that_nobody_knows_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        audit.main(["detach_droped"])
    assert raised.value.code == 2
    assert "no fault is named detach_droped" in capsys.readouterr().err
