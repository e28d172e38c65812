"""Hold docs/faults.md to the tests that it names, and to the bounds that it gives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from inspect import signature

from benchmarks.paths import ROOT
from results.records import samples, storage, texts

PAGE = (ROOT / "docs" / "faults.md").read_text()


@cache
def known_tests() -> dict[str, set[str]]:
    """Return the tests by the name of their file, which two folders may have."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        functions = re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
        found.setdefault(path.name, set()).update(functions)
    return found


def columns() -> Iterator[tuple[str, str]]:
    """Yield each fault of the page with its last column, where that is a column of tests."""
    last = ""
    for line in PAGE.splitlines():
        if not line.startswith("|"):
            last = ""
        elif not last:
            last = line.rstrip(" |").rpartition("| ")[2]
        elif last == "test" and not line.startswith("|---"):
            cells = line.strip("| ").split(" | ")
            yield cells[0], cells[-1]


def test_every_fault_names_tests_that_there_are() -> None:
    rows = list(columns())
    assert len(rows) > 55
    for fault, column in rows:
        named = re.findall(r"`([^`]+)`", column)
        assert named or column == "the same", fault
        for name in named:
            assert any(_matches(name, file) for file in known_tests()), (
                f"{fault}: there is no {name}"
            )


def _matches(name: str, file: str) -> bool:
    """Return whether a file has a test of this name, in which ``…`` stands for anything."""
    given, _, test = name.rpartition("::")
    if not test.endswith(".py") and not test.startswith(("test_", "…")):
        return True  # a value of the parameter of the test before
    if test.endswith(".py"):
        return test == file
    pattern = ".*".join(map(re.escape, test.split("…")))
    return given.strip("…") in ("", file) and any(
        re.fullmatch(pattern, t) for t in known_tests()[file]
    )


def test_bounds_of_the_page_are_those_of_the_door() -> None:
    """A file of a run may be so large, hold so many values, and be nested so deeply."""
    row = next(fault for fault, _ in columns() if "MiB" in fault)
    assert storage.MOST_VALUES == 10**6
    assert row == (
        f"a file over {storage.MOST_BYTES // 2**20} MiB, over a million values, nested over "
        f"{signature(texts.cleaned).parameters['deepest'].default} levels; samples that unpack to "
        f"over {samples.MOST_UNPACKED // 2**20} MiB"
    )
