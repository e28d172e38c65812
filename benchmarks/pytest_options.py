"""Add the options of this suite to pytest's, and refuse values that nobody can mean."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence

import pytest

from benchmarks import pytest_profile
from benchmarks.harness.measurement.stopping import parse_precision
from benchmarks.harness.protocol import cells
from benchmarks.harness.selection import cost
from benchmarks.harness.selection.options import check_not_empty
from benchmarks.harness.session import resume
from benchmarks.paths import RUNS, named
from benchmarks.regression import within_pytest
from benchmarks.scenarios.external import loading

# Options of others that take a text, and would be ignored, or mean another one, if it is empty.
NATIVE = {
    "--benchmark-storage": "benchmark_storage",
    "--benchmark-compare": "benchmark_compare",
    "--benchmark-group-by": "benchmark_group_by",
    "--junitxml": "xmlpath",
}
# pairs of switches that contradict each other: pytest-benchmark would drop one, or run nothing
CONTRADICTIONS = (
    ("--benchmark-only", "--benchmark-skip"),
    ("--benchmark-only", "--benchmark-disable"),
)
GROUPINGS = ("group", "name", "func", "fullname", "fullfunc", "param")


def add_options(parser: pytest.Parser) -> pytest.OptionGroup:
    """Add the options of this suite to pytest's, and return their group."""
    group = parser.getgroup("cascade-bench", "what to compare, check and time")
    _add_selection_options(group)
    _add_measurement_options(group)
    group.addoption(
        "--cluster",
        default=None,
        metavar="FILE",
        help="measure on the nodes of a cluster that this YAML file names (docs/cluster.md)",
    )
    within_pytest.add_options(group)
    pytest_profile.add_option(group)
    return group


def hint_at_near_misses(
    parser: pytest.Parser, group: pytest.OptionGroup, words: Sequence[str]
) -> None:
    """Have pytest's own error about an unknown option name ours that is nearest to it.

    Args:
        parser: pytest's, which prints what is in its ``extra_info`` beside such an error.
        group: that of our options.
        words: of the command line.
    """
    ours = [name for option in group.options for name in option.names()]
    given = [word.partition("=")[0] for word in words if word.startswith("--")]
    for word in given:
        near = [] if word in ours else difflib.get_close_matches(word, ours, 1, cutoff=0.8)
        if near:
            parser.extra_info["did you mean"] = f"{near[0]} for {word}?"


def _add_selection_options(group: pytest.OptionGroup) -> None:
    """Add the options that select cells: by name, own scenarios, device, everything."""
    for name in cells.OPTIONS:
        group.addoption(
            f"--{name}",
            action="append",
            metavar="NAME[,NAME]",
            help=f"only this {name}, or these, or all; see: cascade-bench list",
        )
    group.addoption(
        loading.OPTION,
        action="append",
        metavar="PATH",
        help="scenarios of your own: a spec file, or a folder of them (docs/your-own-network.md)",
    )
    group.addoption(
        "--device", metavar="cpu|cuda", help="where to run (default: cuda where there is one)"
    )
    group.addoption(
        "--precision-mode",
        default=None,
        metavar="MODE",
        help="what the networks compute in: ieee (default), tf32 (GPU alone) or bf16",
    )
    group.addoption(
        "--ranks",
        type=int,
        default=None,
        metavar="N",
        help="with --kind distributed: processes, in JAX devices, that share each batch (2)",
    )
    group.addoption(
        "--all", action="store_true", dest="everything", help="select every cell there is"
    )


def _add_measurement_options(group: pytest.OptionGroup) -> None:
    """Add the options of measuring: launches, seconds, memory, results, resuming."""
    group.addoption(
        "--launches",
        type=int,
        default=6,
        metavar="N",
        help="worker processes for each framework, of which one measures at a time (6)",
    )
    group.addoption(
        "--cell-seconds",
        type=float,
        default=cost.CELL_SECONDS,
        metavar="SECONDS",
        help=f"seconds of timing for each cell in each launch ({cost.CELL_SECONDS:g})",
    )
    group.addoption(
        "--cell-limit",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="seconds after which a cell, or a part of your own file, is given up (120)",
    )
    _add_precision_options(group)
    group.addoption(
        "--memory",
        action="store_true",
        help="measure peak memory too, each cell in a process of its own",
    )
    group.addoption(
        "--bench-seed",
        type=int,
        default=0,
        metavar="SEED",
        help="seed of the order in which cells are timed (0)",
    )
    group.addoption("--results", metavar="DIR", help=f"folder to save the run in ({named(RUNS)})")
    group.addoption(
        "--resume",
        nargs="?",
        const=resume.NEWEST,
        metavar="RUN",
        help="go on with a run that was stopped: a run file or id (this machine's newest)",
    )


def _add_precision_options(group: pytest.OptionGroup) -> None:
    """Add the options that ask for more launches until the ratios are precise enough."""
    group.addoption(
        "--precision",
        type=_precision,
        default=None,
        metavar="1%",
        help="more launches until every ratio's 95 %% interval reaches no further than this",
    )
    group.addoption(
        "--most-launches",
        type=int,
        default=24,
        metavar="N",
        help="most launches that --precision may take (24)",
    )
    group.addoption(
        "--group-seconds",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="seconds after which --precision starts no more launches for a group of cells (60)",
    )


def _precision(text: str) -> float:
    """Return the fraction that ``--precision`` gives; a mistake becomes an error of argparse."""
    try:
        return parse_precision(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def check(config: pytest.Config) -> None:
    """Refuse options that contradict each other, or whose value is empty or unknown.

    Raises:
        pytest.UsageError: pytest-benchmark is missing, two switches contradict each other, or
            pytest-benchmark would fail with a grouping at the end of the session.
        SelectionError: the value of an option is empty.
    """
    if config.getoption("benchmark_skip", default=None) is None:
        raise pytest.UsageError(
            "this suite runs on pytest-benchmark, which is switched off here (by -p no:benchmark "
            "or PYTEST_DISABLE_PLUGIN_AUTOLOAD) or not installed: pip install pytest-benchmark"
        )
    for one, other in CONTRADICTIONS:
        if config.getoption(one) and config.getoption(other):
            raise pytest.UsageError(f"{one} and {other} contradict each other: leave one out")
    _refuse_several_processes(config)
    for option, name in text_options().items():
        check_not_empty(option, config.getoption(name, default=None))
    _check_grouping(config.getoption("benchmark_group_by"))
    _check_cluster(config)
    if config.getoption("resume") and (
        config.getoption("benchmark_disable") or config.getoption("benchmark_skip")
    ):
        raise pytest.UsageError(
            "--resume goes on with measuring: leave out --benchmark-disable and --benchmark-skip"
        )


def _check_cluster(config: pytest.Config) -> None:
    """Raise `pytest.UsageError` for switches that a session on a cluster does not have."""
    others = ("benchmark_disable", "benchmark_skip", "regress_against", "profile")
    for name in others if config.getoption("cluster") else ():
        if config.getoption(name):
            raise pytest.UsageError(
                f"--cluster measures on its nodes: leave out --{name.replace('_', '-')}"
            )


def text_options() -> dict[str, str]:
    """Return the options that take a text, ours and `NATIVE`, each with its name in the config."""
    named = [*cells.OPTIONS, "scenario-path", "device", "precision-mode", "results"]
    named += ["resume", "cluster"]
    named += ["regress-against", "regress-budget", "profile"]
    return {f"--{name}": name.replace("-", "_") for name in named} | NATIVE


def _check_grouping(text: str) -> None:
    """Raise `pytest.UsageError` unless pytest-benchmark can group the timed tests so."""
    fields = [f"param:{name}" for name in list(cells.Cell.__dataclass_fields__)[1:]]
    for part in text.split(","):
        if part not in (*GROUPINGS, *fields):
            raise pytest.UsageError(
                f"--benchmark-group-by {text!r}: {part!r} is unknown (allowed: "
                f"{', '.join([*GROUPINGS, *fields])})"
            )


def _refuse_several_processes(config: pytest.Config) -> None:
    """Refuse to time cells in several processes of pytest-xdist, which would slow each other.

    Raises:
        pytest.UsageError: ``-n`` or ``--tx`` is given, and neither is timing switched off.
    """
    untimed = ("benchmark_skip", "benchmark_disable", "collectonly")
    several = {"-n": "numprocesses", "--tx": "tx"}  # -n fills in the other as well
    given = [option for option, name in several.items() if config.getoption(name, default=None)]
    if given and not any(map(config.getoption, untimed)):
        raise pytest.UsageError(
            f"{given[0]}: several processes would time cells at once and slow each other; leave "
            f"out {given[0]}, or add --benchmark-skip to run the checks alone"
        )
