"""Test what pytest's command line refuses, without a session."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import pytest_options
from benchmarks.harness.selection.options import SelectionError

SWITCHES = ("benchmark_only", "benchmark_skip", "benchmark_disable", "resume")


def config(**options: Any) -> Any:
    """Return a configuration of pytest with these options; all others are left out."""
    known = dict.fromkeys(SWITCHES, False) | {"benchmark_group_by": "group"} | options

    def getoption(name: str, default: Any = None) -> Any:
        return known.get(name.lstrip("-").replace("-", "_"), default)

    return SimpleNamespace(getoption=getoption)


class Parser:
    """Record the options that are added, in the place of pytest's parser and of its group."""

    def __init__(self) -> None:
        self.added: dict[str, dict[str, Any]] = {}

    def getgroup(self, *_: str) -> Parser:
        return self

    def addoption(self, name: str, **about: Any) -> None:
        self.added[name] = about


def test_every_option_of_ours_that_takes_a_text_is_tried_for_emptiness() -> None:
    parser: Any = Parser()
    pytest_options.add_options(parser)
    texts = {
        name
        for name, about in parser.added.items()
        if about.get("action") != "store_true" and "type" not in about
    }
    assert texts == pytest_options.text_options().keys() - pytest_options.NATIVE.keys()
    assert len(texts) > 10


@pytest.mark.parametrize("option", pytest_options.text_options())
def test_empty_text_is_refused_by_its_option(option: str) -> None:
    name = pytest_options.text_options()[option]
    pytest_options.check(config())
    with pytest.raises(SelectionError, match=f"^{option} is empty"):
        pytest_options.check(config(**{name: ""}))


@pytest.mark.parametrize("other", ["benchmark_skip", "benchmark_disable"])
def test_switches_that_contradict_each_other_are_refused(other: str) -> None:
    with pytest.raises(pytest.UsageError, match="contradict each other: leave one out"):
        pytest_options.check(config(benchmark_only=True, **{other: True}))


def test_going_on_with_a_run_is_no_check() -> None:
    with pytest.raises(pytest.UsageError, match="--resume goes on with measuring"):
        pytest_options.check(config(benchmark_skip=True, resume="newest"))


def test_grouping_that_would_fail_at_the_end_is_refused_at_the_beginning() -> None:
    pytest_options.check(config(benchmark_group_by="func,param:strategy"))
    for wrong in ("nonsense", "param:nonsense", "group,"):
        with pytest.raises(pytest.UsageError, match=f"--benchmark-group-by '{wrong}': "):
            pytest_options.check(config(benchmark_group_by=wrong))


def test_without_pytest_benchmark_it_is_said_in_one_line() -> None:
    with pytest.raises(pytest.UsageError, match="pip install pytest-benchmark") as raised:
        pytest_options.check(config(benchmark_skip=None))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--scenaro", "gan"], {"did you mean": "--scenario for --scenaro?"}),
        (["--frameworks=torch"], {"did you mean": "--framework for --frameworks?"}),
        (["--scenario=gan", "--benchmark-only", "-k", "x"], {}),
    ],
)
def test_unknown_option_gets_the_nearest_of_ours(words: list[str], hint: dict[str, str]) -> None:
    parser = pytest.Parser(_ispytest=True)
    group = pytest_options.add_options(parser)
    pytest_options.hint_at_near_misses(parser, group, words)
    assert parser.extra_info == hint


@pytest.mark.parametrize(
    ("options", "named"),
    [({"numprocesses": 2, "tx": ["2*popen"]}, "-n"), ({"tx": ["2*popen"]}, "--tx")],
)
def test_timing_in_several_processes_is_refused_in_one_line(
    options: dict[str, Any], named: str
) -> None:
    with pytest.raises(pytest.UsageError, match=f"^{named}: several processes .* --benchmark-skip"):
        pytest_options.check(config(**options))
    for untimed in ("benchmark_skip", "benchmark_disable", "collectonly"):
        pytest_options.check(config(**options, **{untimed: True}))
