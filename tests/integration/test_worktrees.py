"""Test the folders that both sides are written into, and that the repository stays as it was."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.paths import ROOT
from benchmarks.regression import versions, worktrees
from benchmarks.regression.versions import WORKER_FILES, VersionRequest
from benchmarks.regression.worktrees import VersionError
from tests.helpers.git_repositories import git

HERE = VersionRequest(None, sys.executable)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Return a repository of two commits, with a file changed, one new, one gone, one ignored."""
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "code.py").write_text("one\n")
    (folder / "gone.py").write_text("gone\n")
    (folder / WORKER_FILES[0]).parent.mkdir(parents=True)
    (folder / WORKER_FILES[0]).write_text("")
    (folder / ".gitignore").write_text("ignored/\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "tag", "v1")
    (folder / "code.py").write_text("two\n")
    git(folder, "commit", "-q", "-am", "second")
    (folder / "code.py").write_text("three\n")
    (folder / "a new\nfile.py").write_text("new\n")
    (folder / "gone.py").unlink()
    (folder / "ignored").mkdir()
    (folder / "ignored" / "data").write_text("large\n")
    return folder


def names(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_a_commit_is_written_out_as_it_was(repo: Path, tmp_path: Path) -> None:
    worktrees.export_commit(repo, worktrees.resolve_commit(repo, "v1"), tmp_path / "base")
    assert names(tmp_path / "base") == {"code.py", "gone.py", ".gitignore", WORKER_FILES[0]}
    assert (tmp_path / "base" / "code.py").read_text() == "one\n"


def test_the_work_tree_is_copied_as_it_is_now(repo: Path, tmp_path: Path) -> None:
    worktrees.copy_work_tree(repo, tmp_path / "head")
    assert names(tmp_path / "head") == {"code.py", "a new\nfile.py", ".gitignore", WORKER_FILES[0]}
    assert (tmp_path / "head" / "code.py").read_text() == "three\n"
    assert worktrees.count_changes(repo) == 3


def test_what_was_kept_of_earlier_comparisons_is_neither_copied_nor_counted(
    repo: Path, tmp_path: Path
) -> None:
    for kept in (repo / ".cascade-bench", repo / "below" / ".cascade-bench"):
        kept.mkdir(parents=True)
        (kept / "comparison.json").write_text("{}")
    worktrees.copy_work_tree(repo, tmp_path / "head")
    assert names(tmp_path / "head") == {"code.py", "a new\nfile.py", ".gitignore", WORKER_FILES[0]}
    assert worktrees.count_changes(repo) == 3


def test_nothing_of_the_repository_is_touched(repo: Path, tmp_path: Path) -> None:
    def state() -> tuple[str, str, str]:
        index = (repo / ".git" / "index").read_bytes().hex()
        return git(repo, "status", "--porcelain"), git(repo, "worktree", "list"), index

    before = state()
    worktrees.export_commit(repo, worktrees.resolve_commit(repo, "main"), tmp_path / "base")
    worktrees.copy_work_tree(repo, tmp_path / "head")
    assert state() == before


def test_a_hook_s_own_repository_does_not_count(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere" / "index"))
    assert len(worktrees.resolve_commit(repo, "v1")) == 40


def test_settings_of_git_that_stand_in_the_environment_hold(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container trusts a folder, and a user leaves large files alone, by such variables."""
    (tmp_path / "excluded").write_text("a new*\n")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.excludesFile")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(tmp_path / "excluded"))
    assert worktrees.count_changes(repo) == 2


def test_links_are_those_of_a_check_out_on_both_sides(repo: Path, tmp_path: Path) -> None:
    for folder in (repo / "src" / "mine", tmp_path / "data"):
        folder.mkdir(parents=True)
        (folder / "one.txt").write_text("one\n")
    (tmp_path / "single").write_text("single\n")
    (repo / "mine").symlink_to("src/mine")
    (repo / "data").symlink_to(tmp_path / "data")
    (repo / "again.txt").symlink_to("src/mine/one.txt")
    (repo / "gone.txt").symlink_to("nowhere")
    (repo / "single").symlink_to("../single")
    git(repo, "add", "mine", "data", "again.txt", "gone.txt", "src")
    git(repo, "commit", "-q", "-m", "links")
    worktrees.export_commit(repo, "HEAD", tmp_path / "base")
    worktrees.copy_work_tree(repo, tmp_path / "head")
    for side in (tmp_path / "base", tmp_path / "head"):
        assert (side / "mine" / "one.txt").read_text() == "one\n"
        assert (side / "data" / "one.txt").read_text() == "one\n"
        for name in ("mine", "data", "again.txt", "gone.txt"):
            assert (side / name).readlink() == (repo / name).readlink()
    assert (tmp_path / "head" / "single").read_text() == "single\n"  # which leads out, and is new


def test_no_file_is_written_through_a_link(repo: Path, tmp_path: Path) -> None:
    """A folder of tracked files has been replaced by a link to another folder."""
    (repo / "kept").mkdir()
    (repo / "kept" / "code.py").write_text("kept\n")
    git(repo, "add", "kept")
    git(repo, "commit", "-q", "-m", "a folder")
    (repo / "kept").rename(tmp_path / "kept")
    (repo / "kept").symlink_to(tmp_path / "kept")
    worktrees.copy_work_tree(repo, tmp_path / "head")
    assert not (tmp_path / "head" / "kept").is_symlink()
    assert (tmp_path / "head" / "kept" / "code.py").read_text() == "kept\n"


def test_submodules_are_written_out_as_they_were_and_as_they_are(
    repo: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q", "-b", "main")
    (library / "part.py").write_text("one\n")
    git(library, "add", ".")
    git(library, "commit", "-q", "-m", "first")
    allowed = ("-c", "protocol.file.allow=always")
    git(repo, *allowed, "submodule", "--quiet", "add", str(library), "below/library")
    git(repo, "commit", "-q", "-m", "a submodule")
    (repo / "below" / "library" / "part.py").write_text("two\n")
    worktrees.export_commit(repo, worktrees.resolve_commit(repo, "HEAD"), tmp_path / "base")
    worktrees.copy_work_tree(repo, tmp_path / "head")
    assert (tmp_path / "base" / "below" / "library" / "part.py").read_text() == "one\n"
    assert (tmp_path / "head" / "below" / "library" / "part.py").read_text() == "two\n"
    assert not list(tmp_path.rglob("*.index"))
    git(repo, "submodule", "--quiet", "deinit", "--force", "--all")
    worktrees.export_commit(repo, worktrees.resolve_commit(repo, "HEAD"), tmp_path / "without")
    assert "below/library/part.py" not in names(tmp_path / "without")


@pytest.mark.parametrize("ref", ["nowhere", "--help", "main:code.py", ""])
def test_a_ref_that_is_no_commit_is_named_with_those_there_are(repo: Path, ref: str) -> None:
    with pytest.raises(VersionError, match=r"is no commit of .*it has main, v1"):
        worktrees.resolve_commit(repo, ref)


def test_a_folder_without_a_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(VersionError, match="is in no git repository"):
        worktrees.repository(tmp_path)


def test_git_that_is_not_there_is_named(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(VersionError, match="git is not installed"):
        worktrees.resolve_commit(repo, "main")


def test_a_full_disk_is_one_line(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VersionError, match=r"cannot copy the work tree .* free some space"):
        worktrees.copy_work_tree(repo, tmp_path / "file" / "head")


def test_sides_are_there_inside_and_gone_after(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "ROOT", repo)
    roots: list[Path] = []

    def stopped() -> None:
        with versions.prepare_sides(VersionRequest("v1", sys.executable), HERE) as (base, head):
            roots.extend([base.root, head.root])
            assert (base.root / "code.py").read_text() == "one\n"
            assert (head.root / "code.py").read_text() == "three\n"
            assert len(str(base.root)) == len(str(head.root))
            assert base.label.startswith("v1 (")
            assert base.changed == 0
            assert head.label.endswith("with 3 files changed)")
            assert base.cache != head.cache
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert not any(root.exists() for root in roots)


def test_interpreters_alone_need_no_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    (tmp_path / WORKER_FILES[0]).parent.mkdir(parents=True)
    (tmp_path / WORKER_FILES[0]).write_text("")
    with versions.prepare_sides(HERE, HERE) as (base, head):
        assert base.root == head.root == tmp_path
        assert base.versions["numpy"]
        assert base.document_entry()["python"] is None
        assert base.document_entry().keys() == {
            "name", "label", "commit", "changed", "python", "versions"
        }  # fmt: skip


def test_a_tree_that_is_no_version_of_this_suite_is_named(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(repo, "rm", "-q", "--cached", WORKER_FILES[0])
    git(repo, "commit", "-q", "-m", "another project")
    monkeypatch.setattr(versions, "ROOT", repo)
    sides = versions.prepare_sides(VersionRequest("HEAD", sys.executable), HERE)
    with pytest.raises(VersionError, match=rf"HEAD \(.* has no {WORKER_FILES[0]}"):
        sides.__enter__()


def test_a_user_s_own_files_are_those_of_each_side(repo: Path) -> None:
    spec = repo / "code.py"
    with versions.prepare_sides(VersionRequest("v1", sys.executable), HERE, [spec]) as (base, head):
        assert Path(base.moved[str(spec)]).read_text() == "one\n"
        assert Path(head.moved[str(spec)]).read_text() == "three\n"
        assert base.root == head.root == ROOT
        assert base.origin == head.origin == str(repo)
    with versions.prepare_sides(HERE, HERE, [spec]) as sides:  # the same files
        assert [side.origin for side in sides] == [None, None]


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/false", "/bin/echo"])
def test_what_is_no_interpreter_is_named(python: str) -> None:
    with pytest.raises(VersionError, match=f"'{python}' is no Python interpreter"):
        versions._package_versions(python)
