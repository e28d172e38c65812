"""Test that docs/cluster.md shows cluster files that are allowed, and every key."""

from __future__ import annotations

import re

import pytest

from benchmarks.cluster import settings
from benchmarks.cluster.backends.dask import HOW
from benchmarks.paths import ROOT

yaml = pytest.importorskip("yaml", reason="the extra `cluster` is not installed")
PAGE = (ROOT / "docs" / "cluster.md").read_text()
FILES = re.findall(r"# cluster\.yml\n((?:    .+\n)+)", PAGE)


def test_every_file_of_the_page_is_allowed() -> None:
    assert len(FILES) == 2
    backends = set()
    for text in FILES:
        values = yaml.safe_load("".join(line[4:] for line in text.splitlines(keepends=True)))
        assert settings.problem_of(values) is None
        backends.add(values["backend"])
    assert backends == {"dask", "submitit"}


def test_every_key_stands_in_the_table_of_keys() -> None:
    table = PAGE.partition("## All keys")[2].partition("\n## ")[0]
    keys = set(
        re.findall(r"`((?:dask|submitit)_[a-z_]+|folder|python|environment|backend)`", table)
    )
    assert keys == {*settings.COMMON, *settings.DASK, *settings.SUBMITIT}


def test_worker_is_started_as_the_message_about_a_missing_one_says() -> None:
    assert HOW.partition(" --nthreads")[2] in PAGE
