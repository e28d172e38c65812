"""Test commands where frameworks are missing, where an encoding is poor, and odd folders."""

from __future__ import annotations

import pytest

from tests.helpers.other_environments import EVERY_FRAMEWORK, FRAMEWORKS, execute

CLI = "benchmarks.cli"
SLOW = pytest.mark.slow  # a process each; what they show is tested in process as well
SESSION = ("pytest", "benchmarks", "-p", "no:cacheprovider")


@SLOW
@pytest.mark.parametrize("missing", ["torch", "jax"])
def test_list_and_its_cost_mark_what_is_not_installed(missing: str) -> None:
    listed = execute(CLI, "list", "--cost", "--size=seed", without=FRAMEWORKS[missing])
    assert listed.returncode == 0, listed.stderr
    first, second = listed.stdout.splitlines()[:2]
    assert f" cells left out: {missing} is not installed here: pip install -e " in first
    both = execute(CLI, "list", "--cost", "--size=seed").stdout
    count = int(second.split()[0])
    assert 0 < count < int(both.split()[0])


@SLOW
def test_without_frameworks_list_says_how_to_get_one_and_nothing_has_a_cost() -> None:
    listed = execute(CLI, "list", without=EVERY_FRAMEWORK)
    assert listed.returncode == 0
    assert "jax is not installed here: pip install -e '.[jax]'" in listed.stdout
    cost = execute(CLI, "list", "--cost", without=EVERY_FRAMEWORK)
    assert cost.returncode == 2
    assert "no framework is installed here" in cost.stderr


REFUSED = [
    (["--benchmark-only"], EVERY_FRAMEWORK, "no framework is installed here; install one"),
    (["--benchmark-only", "--framework=all"], FRAMEWORKS["jax"], "--framework jax: jax is not"),
    (["-p", "no:benchmark"], "", "this suite runs on pytest-benchmark"),
    (["--benchmark-only", "-n2"], "", "-n: several processes would time cells at once"),
]
REFUSED_TOO = [
    (["--benchmark-skip"], EVERY_FRAMEWORK, "no framework is installed here; install one"),
    (["--benchmark-skip", "--framework=all"], "flax", "--framework jax: jax needs flax, not"),
    (["--benchmark-only", "--benchmark-json=/nonexistent/x"], "", "does not exist; create it"),
    (["--benchmark-only", "--benchmark-json=/dev/full"], "", "No space left on device"),
    (["--benchmark-only", "--junitxml=/dev/null/x"], "", "--junitxml: cannot write"),
    (["--benchmark-only", "--benchmark-compare-fail=min:5%"], "", "nothing to compare with"),
    (["--benchmark-only", "--benchmark-compare=9999"], "", "store one first, by --benchmark-autos"),
]


@pytest.mark.parametrize(
    ("arguments", "without", "said"),
    [*REFUSED, *(pytest.param(*case, marks=SLOW) for case in REFUSED_TOO)],
)
def test_session_that_cannot_do_what_is_asked_ends_before_measuring(
    arguments: list[str], without: str, said: str
) -> None:
    done = execute(*SESSION, *arguments, without=without)
    assert done.returncode == 4, done.stdout
    assert said in done.stderr
    assert len(done.stderr.split("ERROR: ")) == 2
    assert "Traceback" not in done.stdout + done.stderr


@SLOW
def test_regress_without_frameworks_says_so() -> None:
    done = execute(CLI, "regress", "--base-python=python3", without=EVERY_FRAMEWORK)
    assert done.returncode == 2
    assert "neither torch nor jax is installed on either side" in done.stderr


def test_k_that_selects_nothing_says_why() -> None:
    done = execute(*SESSION, "--benchmark-only", "-k", "sumed")
    assert done.returncode == 5
    assert "-k 'sumed' leaves none of the" in done.stdout
    assert "nearest names: summed" in done.stdout
    assert "/ 0 selected" in done.stdout


@SLOW
def test_all_frameworks_are_all_checked() -> None:
    """``all`` itself was once a parameter, and its checks were skipped as not installed."""
    arguments = ("--benchmark-skip", "--scenario=gan", "--collect-only", "-q")
    collected = [
        execute(*SESSION, *arguments, f"--framework={names}").stdout.splitlines()[:-1]
        for names in ("torch,jax", "all")
    ]
    assert collected[0] == collected[1]
    assert not any("[all" in line for line in collected[1])


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("cp1252", marks=SLOW)])
@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        pytest.param(("show", "--results=results/reference"), marks=SLOW),
        pytest.param(("regress", "--stored", "no-such-run-→"), marks=SLOW),
        pytest.param(("report", "--markdown", "--results=results/reference"), marks=SLOW),
        pytest.param(("history", "--results=results/reference"), marks=SLOW),
        pytest.param(("doctor", "--seconds=0.2"), marks=SLOW),
    ],
    ids=lambda words: words[0],
)
def test_poor_encoding_costs_characters_and_nothing_else(
    encoding: str, words: tuple[str, ...]
) -> None:
    done = execute(CLI, *words, encoding=encoding, without=EVERY_FRAMEWORK)
    assert "Error" not in done.stderr
    assert done.returncode == (2 if words[0] == "regress" else 0)
