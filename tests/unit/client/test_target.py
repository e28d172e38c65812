"""Where a case comes from: file, module or pickle, and what is said where there is none."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cascade_bench.target import CaseError, from_function, from_text

CASE = "import os\ndef make(): ...\ndef build(): ...\nif os:\n    hidden = build\n"
CASE += "try: ...\nexcept ImportError:\n    def without(): ...\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_case.py").write_text(CASE)
    (tmp_path / "both.py").write_text("def torch_case(): ...\ndef jax_case(): ...\n")
    (tmp_path / "other.py").write_text("def bild(): ...\ndef built(): ...\n")
    (tmp_path / "broken.py").write_text("def make(:\n")
    (tmp_path / "empty.py").touch()
    (tmp_path / "bytes.py").write_bytes(b"\0")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("my_case.py", "make"),
        ("my_case.py:build", "build"),
        ("my_case.py:hidden", "hidden"),
        ("my_case.py:without", "without"),
        ("./my_case.py", "make"),
        ("both.py", None),
        ("both.py:jax_case", "jax_case"),
    ],
)
def test_file_is_named_whole_with_its_function(
    folder: Path, text: str, function: str | None
) -> None:
    name = text.removeprefix("./").partition(":")[0]
    assert from_text(text, folder) == {"file": str(folder / name), "function": function}


def test_module_is_named_as_it_stands(folder: Path) -> None:
    assert from_text("package.module:make", folder) == {
        "module": "package.module",
        "function": "make",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no case is named"),
        ("my_cse.py", "there is no file .*my_cse.py; did you mean my_case.py"),
        ("zzz.py", "write one: cascade-bench new zzz.py"),
        ("gone/case.py", "and no folder"),
        ("my_case.py:mak", "no function 'mak'; did you mean my_case.py:make"),
        ("other.py", "no function 'make'; it defines bild, built; name one: other.py:built"),
        ("empty.py", "it defines nothing"),
        ("broken.py", r"broken.py:1: this is no Python"),
        ("bytes.py", "is no Python"),
        ("package.module", "'package.module' is no case; give FILE.py, FILE.py:function or"),
        ("no module:make", "is no case"),
        (".", "cannot be read"),
    ],
)
def test_what_is_no_case_is_refused_in_one_line(folder: Path, text: str, said: str) -> None:
    with pytest.raises(CaseError, match=said) as raised:
        from_text(text, folder)
    assert "\n" not in str(raised.value)


def module(name: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a file under a name, as pytest does."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, loaded)
    spec.loader.exec_module(loaded)
    return loaded


def test_function_of_a_file_travels_by_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = module("my_case", folder / "my_case.py", monkeypatch)
    file = str(folder / "my_case.py")
    assert from_function(loaded.make) == {"file": file, "function": "make"}
    loaded.hidden = loaded.make  # a second name; its own is what counts
    assert from_function(loaded.hidden) == {"file": file, "function": "make"}


def test_function_of_a_package_travels_by_module_if_others_can_import_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "package").mkdir()
    (folder / "package" / "cases.py").write_text(CASE)
    loaded = module("package.cases", folder / "package" / "cases.py", monkeypatch)
    assert from_function(loaded.make) is None  # a part of a package that is not on the path
    monkeypatch.syspath_prepend(folder)
    assert from_function(loaded.make) == {"module": "package.cases", "function": "make"}


def test_function_that_cannot_be_found_by_name_travels_as_a_pickle(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inner() -> None: ...

    loaded = module("my_case", folder / "my_case.py", monkeypatch)
    old, loaded.make = loaded.make, loaded.build
    unfindable: list[Callable[..., Any]] = [
        inner, lambda: None, functools.partial(loaded.build), old,
    ]  # fmt: skip
    assert [from_function(one) for one in unfindable] == [None] * 4
