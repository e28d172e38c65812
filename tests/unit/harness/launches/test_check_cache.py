"""The checks' compile cache: where it lies, what keys it, how large it grows, who uses it."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.launches import check_cache, check_workers
from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.machine import environment
from benchmarks.machine.host import Host


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(check_cache.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def filled(folder: Path, used: float, *entries: str) -> Path:
    """A folder with entries of 100 bytes each, the first the oldest, last used at that time."""
    folder.mkdir(parents=True, exist_ok=True)
    for age, entry in enumerate(entries):
        (folder / entry).write_bytes(b"x" * 100)
        os.utime(folder / entry, (used + age, used + age))
    os.utime(folder, (used, used))
    return folder


def test_it_lies_in_the_users_cache_folder(cache_home: Path) -> None:
    folder = check_cache.folder("--flag")
    assert folder is not None
    assert folder.parent == cache_home / "cascade-bench" / "checks"
    assert folder.is_dir()
    environ = {"HOME": "/home/somebody"}
    assert check_cache.root(environ) == Path("/home/somebody/.cache/cascade-bench/checks")


def test_a_variable_names_another_folder_or_switches_it_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(check_cache.VARIABLE, str(tmp_path / "other"))
    folder = check_cache.folder("")
    assert folder is not None
    assert tmp_path / "other" in folder.parents
    monkeypatch.setenv(check_cache.VARIABLE, "off")
    assert check_cache.folder("") is None


def test_where_it_cannot_be_written_there_is_none(cache_home: Path) -> None:
    cache_home.write_text("a file in the way")
    assert check_cache.folder("") is None


def test_user_without_a_home_folder_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as in a container whose user id has no entry in the password file."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(pwd, "getpwuid", dict[int, Any]().__getitem__)
    assert check_cache.root() is None
    assert check_cache.folder("") is None


def test_flags_versions_and_processor_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {check_cache.key(""), check_cache.key("--xla_a=0"), check_cache.key("", Host(tmp_path))}
    known = environment.installed
    for package in environment.PACKAGES:
        monkeypatch.setattr(
            environment,
            "installed",
            lambda name, package=package: "0.0" if name == package else known(name),
        )
        keys.add(check_cache.key(""))
    assert len(keys) == 3 + len(environment.PACKAGES)
    monkeypatch.setattr(environment, "installed", known)
    assert check_cache.key("") in keys


def test_folders_used_longest_ago_are_removed_first(cache_home: Path) -> None:
    current = check_cache.folder("")
    assert current is not None
    old, older = (
        filled(current.parent / n, used, "a", "b") for n, used in (("2", 2e9), ("1", 1e9))
    )
    (current / "mine").write_bytes(b"x" * 100)
    assert check_cache.folder("", most_bytes=500) == current
    assert old.exists()
    assert older.exists()
    check_cache.folder("", most_bytes=300)
    assert old.exists()
    assert not older.exists()
    check_cache.folder("", most_bytes=100)
    assert not old.exists()
    assert (current / "mine").exists()


def test_oldest_entries_of_the_folder_in_use_are_removed_too(cache_home: Path) -> None:
    current = check_cache.folder("")
    assert current is not None
    current.rmdir()
    filled(current, 1e9, "first", "second", "third")
    check_cache.folder("", most_bytes=200)
    assert sorted(path.name for path in current.iterdir()) == ["second", "third"]


def test_folder_that_a_killed_session_left_is_removed_as_an_entry_is(cache_home: Path) -> None:
    current = check_cache.folder("")
    assert current is not None
    current.rmdir()
    filled(current / "left", 1e9, "half")
    filled(current, 2e9, "first")
    assert check_cache.folder("", most_bytes=100) == current
    assert [path.name for path in current.iterdir()] == ["first"]


def test_entry_that_another_process_removed_meanwhile_is_no_error(
    cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = check_cache.folder("")
    assert current is not None
    current.rmdir()
    filled(current, 1e9, "here")
    entries = [current / "gone", current / "here"]
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(entries if path == current else []))
    check_cache.prune(current.parent, current, 0)
    assert not (current / "here").exists()


def test_it_can_be_removed(cache_home: Path) -> None:
    folder = check_cache.folder("")
    assert folder is not None
    check_cache.main()
    assert not folder.parent.exists()
    check_cache.main()


@pytest.mark.parametrize("switched", ["on", "off"])
def test_only_jax_keeps_its_programs_from_run_to_run(
    monkeypatch: pytest.MonkeyPatch, cache_home: Path, switched: str
) -> None:
    if switched == "off":
        monkeypatch.setenv(check_cache.VARIABLE, "off")
    caches: dict[str, str] = {}

    def launch(framework: str, **options: Any) -> Any:
        caches[framework] = options["cache"]
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr(check_workers, "CheckLaunch", launch)
    monkeypatch.setattr(environment, "installed", lambda _: "1.0")
    workers = CheckWorkers()
    for framework in ("torch", "jax"):
        workers.worker(framework)
    workers.close()
    assert cache_home not in Path(caches["torch"]).parents
    assert (cache_home in Path(caches["jax"]).parents) == (switched == "on")
    assert (caches["jax"] == caches["torch"]) == (switched == "off")
