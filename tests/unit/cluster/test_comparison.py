"""Test a comparison of two versions that a node of a cluster makes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from benchmarks import cli
from benchmarks.cluster import comparison, node, node_comparison
from benchmarks.cluster.backend import Lost
from benchmarks.cluster.errors import ClusterError
from benchmarks.commands import regress
from tests.unit.cluster.test_controller import Scripted, answered, job

ARGUMENTS = ["main", "--budget", "3m"]


def compare(tmp_path: Path, backend: Any) -> tuple[dict[str, Any], bool]:
    """Have this engine compare."""
    file = tmp_path / "cluster.yml"
    file.write_text("backend: local\n")
    return comparison.compare(
        ARGUMENTS, file, tmp_path / "kept", 180.0, start=lambda settings, session: backend
    )


def with_document(document: Any, said: str) -> Any:
    """Return the event that a node has compared."""
    event: Any = answered(comparison.UNIT, "n1")
    event.answer.update({"document": document, "message": said})
    return event


def test_document_of_the_node_is_saved_here(tmp_path: Path) -> None:
    pytest.importorskip("yaml", reason="the extra `cluster` is not installed")
    document = {"id": "20261121T010203-ab12cd", "machine": {"id": "aaaa"}, "kind": "regression"}
    backend = Scripted({comparison.UNIT: [with_document(document, "")]})
    found, saved = compare(tmp_path, backend)
    assert (found, saved) == (document, True)
    (path,) = (tmp_path / "kept").rglob("*.json")
    assert json.loads(path.read_text())["id"] == document["id"]


def test_node_gets_paths_as_they_are_known_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sent, request = Mock(), SimpleNamespace(budget=1.0, confirm=0.0, folder=tmp_path)
    monkeypatch.setattr(comparison, "compare", sent)
    monkeypatch.setattr(regress, "_request", lambda _: request)
    command = ["regress", "main", "--cluster=c.yml", "--scenario-path=net.py"]
    pythons = ["--base-python=env/bin/python", "--head-python=python3"]
    regress._compare(cli.build_parser().parse_args([*command, *pythons]))
    assert sent.call_args.args[0] == [
        "main", "--base-python", str(tmp_path / "env/bin/python"), "--head-python", "python3",
        "--budget", "10m", "--scenario-path", str(tmp_path / "net.py"), "--device", "cpu",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([with_document(None, "no such ref: main")], "node n1: no such ref: main"),
        ([Lost("regress", "n1", "gone")] * 2, "no node has compared: lost on 2 nodes: n1: gone"),
    ],
)
def test_comparison_that_no_node_has_made_is_one_line(
    tmp_path: Path, events: Any, said: str
) -> None:
    pytest.importorskip("yaml", reason="the extra `cluster` is not installed")
    with pytest.raises(ClusterError, match=said):
        compare(tmp_path, Scripted({comparison.UNIT: list(events)}))


def test_node_compares_only_where_it_may_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def compared(arguments: Any) -> Any:
        asked.append(arguments)
        return {"id": "x"}, "said"

    monkeypatch.setattr(node_comparison, "compare", compared)
    unit: Any = {**job("regress"), "regress": ARGUMENTS}
    for difference in ("torch 1 there, 2 here", None):
        said = Mock(return_value=difference)
        monkeypatch.setattr("benchmarks.cluster.node_environment.difference", said)
        answer = node.Node("n1").measure(unit)
        assert answer["refused"] == difference
    assert asked == [ARGUMENTS]
    assert answer["document"] == {"id": "x"}


def test_comparison_is_a_process_whose_document_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(
        "#!/bin/sh\n"
        'for folder; do :; done\nmkdir "$folder/aaaa"\n'
        'echo "{\\"a\\": 1}" > "$folder/aaaa/x.json"\n'
        'echo "$@" >&2\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    document, said = node_comparison.compare(ARGUMENTS)
    assert document == {"a": 1}
    assert said.startswith("-m benchmarks.cli regress main --budget 3m --results ")
    program.write_text("#!/bin/sh\necho wrong >&2; exit 2\n")
    assert node_comparison.compare(ARGUMENTS) == (None, "wrong")
