"""Test what a cluster file may say, and what is said about one that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.cluster import settings
from benchmarks.cluster.errors import ClusterError
from benchmarks.paths import ROOT

pytest.importorskip("yaml", reason="the extra `cluster` is not installed")


def read(folder: Path, text: str) -> settings.ClusterSettings:
    """Return what a cluster file of this text says."""
    path = folder / "cluster.yml"
    path.write_text(text)
    return settings.read(path)


def test_file_is_read_and_nodes_run_this_suite_unless_it_says_otherwise(tmp_path: Path) -> None:
    found = read(tmp_path, "backend: dask\ndask_address: tcp://h:1\n")
    assert (found.backend, dict(found.values)) == ("dask", {"dask_address": "tcp://h:1"})
    assert found.place == {"folder": str(ROOT), "python": None, "environment": {}}
    found = read(tmp_path, "backend: local\nfolder: /there\npython: /py\nenvironment: {A: b}\n")
    assert found.place == {"folder": "/there", "python": "/py", "environment": {"A": "b"}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; allowed: `backend: NAME` with one of dask, submitit, local"),
        ("- a", "names no backend"),
        ("folder: /x", "names no backend"),
        ("backend: ray", "backend is 'ray'; allowed: one of dask, submitit, local"),
        ("backend: [dask]", "allowed: one of dask"),
        ("backend: dask", "needs dask_address or dask_scheduler_file; give one of them"),
        ("backend: dask\ndask_adress: x", "unknown key 'dask_adress' .*did you mean dask_address?"),
        ("backend: local\ndask_address: x", "unknown key 'dask_address' .allowed: backend, "),
        ("backend: dask\ndask_address: 3", "dask_address is 3; allowed: an address"),
        ("backend: dask\ndask_address: a\ndask_wait_seconds: -1", "a number of seconds above 0"),
        ("backend: dask\ndask_address: a\ndask_wait_seconds: true", "a number of seconds above 0"),
        ("backend: local\nenvironment: {A: 1}", "allowed: names of variables with texts"),
        ("backend: local\nfolder: ' '", "folder is ' '; allowed: a path"),
        ("backend: submitit\nslurm_exclusive: false", "slurm_exclusive cannot be set: .*leave it"),
        ("backend: submitit\nsubmitit_cluster: pbs", "allowed: slurm or local"),
        ("backend: submitit\npartition: x", r"slurm_\* of submitit"),
        ("backend: local\n  x: [", "no YAML at line 2"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_with_what_is_allowed(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(ClusterError, match=said) as raised:
        read(tmp_path, text)
    assert str(tmp_path / "cluster.yml") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="cannot be read: No such file"):
        settings.read(tmp_path / "none.yml")
    (tmp_path / "bytes.yml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ClusterError, match="cannot be read: it is no UTF-8"):
        settings.read(tmp_path / "bytes.yml")


def test_keys_of_slurm_are_left_to_submitit() -> None:
    values: Any = {"backend": "submitit", "slurm_partition": "cpu", "slurm_qos": "long"}
    assert settings.problem_of(values) is None
