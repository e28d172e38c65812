"""Connect pytest with the suite: its options, the parameters of the tests, and the session."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.harness.measurement.stopping import parse_precision
from benchmarks.harness.protocol import cells, memory_limit
from benchmarks.harness.selection import check_tiers, options
from benchmarks.harness.selection.names import split_names
from benchmarks.harness.session import resume
from benchmarks.harness.session.lock import Busy
from benchmarks.harness.session.session import BenchmarkSession
from benchmarks.machine.environment import installed
from benchmarks.regression import within_pytest
from benchmarks.scenarios import FRAMEWORKS, Scenario
from benchmarks.scenarios.external import loading
from benchmarks.scenarios.external.errors import SpecError
from benchmarks.scenarios.external.guesses import layout_guesses
from results.records.record import RecordError

SELECTION = pytest.StashKey[options.Selection]()
GUESSES = pytest.StashKey[list[str]]()  # lines on layouts that no spec declares
HAS_EXTERNAL = pytest.StashKey[bool]()  # whether --scenario-path has loaded scenarios
BENCH = pytest.StashKey[BenchmarkSession]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this suite to pytest's."""
    group = parser.getgroup("cascade-bench", "what to compare, check and time")
    _add_selection_options(group)
    _add_measurement_options(group)
    within_pytest.add_options(group)


def _add_selection_options(group: pytest.OptionGroup) -> None:
    """Add the options that select cells: by name, own scenarios, device, everything."""
    for name in cells.OPTIONS:
        group.addoption(
            f"--{name}",
            action="append",
            metavar="NAME[,NAME]",
            help=f"only these; see `cascade-bench list` ({name}; 'all' for every one)",
        )
    group.addoption(
        loading.OPTION,
        action="append",
        metavar="PATH",
        help="scenarios of your own: a spec file, or a folder of them (docs/your-own-network.md)",
    )
    group.addoption("--device", default=None, help="cpu or cuda (default: cuda where there is one)")
    group.addoption("--all", action="store_true", dest="everything", help="every cell there is")


def _add_measurement_options(group: pytest.OptionGroup) -> None:
    """Add the options of measuring: launches, seconds, precision, memory, results, resuming."""
    group.addoption("--launches", type=int, default=6, help="worker processes a framework (6)")
    group.addoption(
        "--cell-seconds", type=float, default=0.05, help="timing per cell and launch (0.05 s)"
    )
    group.addoption(
        "--cell-limit", type=float, default=120.0, help="a cell that answers later is dead (120 s)"
    )
    group.addoption(
        "--precision",
        type=_precision,
        default=None,
        metavar="1%",
        help="more launches until every ratio's 95 %% interval reaches no further than this",
    )
    group.addoption(
        "--most-launches", type=int, default=24, help="no more launches for --precision (24)"
    )
    group.addoption(
        "--group-seconds",
        type=float,
        default=60.0,
        help="no further launches for --precision once a group took so long (60 s)",
    )
    group.addoption(
        "--memory", action="store_true", help="peak memory too, in a process of its own for each"
    )
    group.addoption("--bench-seed", type=int, default=0, help="order of blocks (0)")
    group.addoption("--results", default=None, help="folder of runs (results/runs)")
    group.addoption(
        "--resume",
        nargs="?",
        const=resume.NEWEST,
        metavar="RUN",
        help="go on with a run that was stopped: a run file or id (this machine's newest)",
    )


def _precision(text: str) -> float:
    """Return the fraction that ``--precision`` gives; a mistake becomes an error of argparse."""
    try:
        return parse_precision(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def pytest_configure(config: pytest.Config) -> None:
    """Load the user's own scenarios and read the selection; a mistake ends the session."""
    try:
        own = loading.load(config.getoption("scenario_path") or ())
        config.stash[HAS_EXTERNAL], config.stash[GUESSES] = bool(own), layout_guesses(own)
        config.stash[SELECTION] = selection_of(config)
        memory_limit.worker_memory()
    except (options.SelectionError, SpecError, memory_limit.LimitError) as error:
        raise pytest.UsageError(str(error)) from None
    if config.getoption("resume") and (
        config.getoption("benchmark_disable") or config.getoption("benchmark_skip")
    ):
        raise pytest.UsageError(
            "--resume goes on with measuring: leave out --benchmark-disable and --benchmark-skip"
        )


def selection_of(config: pytest.Config) -> options.Selection:
    """Return the selection of cells that the options of a pytest session make.

    Raises:
        SelectionError: a name does not exist, a number is not above 0, or no cell is left, unless
            ``--benchmark-skip`` says that nothing is timed.
    """
    names: dict[str, Any] = {name: split_names(config.getoption(name)) for name in cells.OPTIONS}
    device = _device(config)
    for option in ("launches", "most-launches", "group-seconds", "cell-seconds", "cell-limit"):
        options.check_positive(option, config.getoption(option.replace("-", "_")))
    _refuse_missing_frameworks(names["framework"] or ())
    if names["framework"] is None:
        names["framework"] = tuple(f for f in FRAMEWORKS if installed(f))
    selection = options.Selection(**names, device=device, everything=config.getoption("everything"))
    if not config.getoption("benchmark_skip"):
        selection.require_cells()
    return selection


def _device(config: pytest.Config) -> str:
    """Return the device to measure on; raise `SelectionError` for one that is not there."""
    device: str = config.getoption("device") or options.default_device()
    options.check_name("device", device, options.DEVICES)
    if device == "cuda" and options.default_device() != "cuda":
        raise options.SelectionError("--device 'cuda': no GPU is to be seen here; use --device cpu")
    return device


def _refuse_missing_frameworks(names: Iterable[str]) -> None:
    """Raise `SelectionError` for a framework that is selected by name and not installed."""
    for framework in names:
        if framework in FRAMEWORKS and installed(framework) is None:
            raise options.SelectionError(
                f"--framework {framework!r} is not installed here; install it with: "
                f"pip install -c constraints.txt -e '.[{framework}]'"
            )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each timed test its cells and each check its problems, as strings only."""
    selection = metafunc.config.stash[SELECTION]
    names = list(cells.Cell.__dataclass_fields__)[1:]
    if "timed_cell" in metafunc.fixturenames:
        test = metafunc.function.__name__
        own_cells = [cell for cell in selection.cells() if timed_by(cell) == test]
        values = [[getattr(cell, name) for name in names] for cell in own_cells]
        metafunc.parametrize(names, values, ids=[cell.id for cell in own_cells])
    else:
        parametrize_checks(metafunc, selection)


def timed_by(cell: cells.Cell) -> str:
    """Return the name of the test that times the cell."""
    if cell.kind == "freeze":
        return "test_freeze"
    return "test_step" if cell.phase == "step" else "test_backward"


def parametrize_checks(metafunc: pytest.Metafunc, selection: options.Selection) -> None:
    """Give a check every problem that fits each of its arguments, and each chosen framework.

    Every variant is checked unless ``--variant`` names some, at the check sizes unless ``--size``
    names others.
    """
    for name, problems in problems_by_argument(selection).items():
        if name in metafunc.fixturenames:
            values = [(s.name, variant, size) for s, variant, size in problems]
            metafunc.parametrize(name, values, ids=["-".join(value) for value in values])
    marked = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "framework" in metafunc.fixturenames and "framework" not in marked:
        metafunc.parametrize("framework", list(selection.framework or FRAMEWORKS))


def problems_by_argument(
    selection: options.Selection,
) -> dict[str, list[tuple[Scenario, str, str]]]:
    """Return, for each argument that a check may have, the problems to run the check with.

    Returns:
        ``problem``, ``several`` (with several losses) and ``freezing`` (with something frozen, at
        the size at which freezes are proven), each → (scenario, variant, size).
    """
    every_variant = options.Selection(
        scenario=selection.scenario,
        variant=selection.variant or (options.ALL,),
        size=selection.size or (options.ALL,),
    )
    problems = list(every_variant.problems())
    checked = [p for p in problems if selection.size or p[2] in p[0].check_sizes]
    return {
        "problem": checked,
        "several": [p for p in checked if len(p[0].variants[p[1]].flow) > 1],
        "freezing": [
            (s, variant, size)
            for s, variant, size in problems
            if s.variants[variant].frozen and (selection.size or size == s.freeze_size)
        ],
    }


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put checks before timed tests, and deselect those that the options exclude.

    ``--benchmark-only`` excludes checks, ``--benchmark-skip`` timed tests: pytest-benchmark would
    skip them one by one, in hundreds of lines.
    """
    timed = {item for item in items if is_timed(item)}
    unwanted = {item for item in items if "NOTSET" in item.name}  # no problem or cell fits
    if config.getoption("benchmark_only"):
        unwanted |= set(items) - timed
    if config.getoption("benchmark_skip"):
        unwanted |= timed
    if config.stash[HAS_EXTERNAL]:
        unwanted |= {item for item in items if not _is_of(item, config.stash[SELECTION])}
    items[:] = [item for item in items if item not in unwanted]
    mark_slow(items)
    config.hook.pytest_deselected(items=[item for item in unwanted if "NOTSET" not in item.name])
    items.sort(key=is_timed)


def mark_slow(items: list[pytest.Item]) -> None:
    """Mark the checks that are left to `make test-all`, see `check_tiers`."""
    for item in items:
        values = item.callspec.params if hasattr(item, "callspec") else {}
        if not check_tiers.is_fast(getattr(item, "originalname", item.name), values):
            item.add_marker(pytest.mark.slow)


def _is_of(item: pytest.Item, selection: options.Selection) -> bool:
    """Return whether a parameter of the test names, or begins with, a selected scenario.

    Tests without such a parameter show how the frameworks behave, and say nothing about scenarios
    from ``--scenario-path``.
    """
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    candidates = [value[0] if isinstance(value, tuple) and value else value for value in values]
    names = {scenario.name for scenario in selection.scenarios()}
    return any(isinstance(value, str) and value in names for value in candidates)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start a session over the cells that are left after ``-k`` and the like."""
    config = session.config
    if config.option.collectonly or config.getoption("benchmark_skip"):
        return
    timed_cells = [_cell(item) for item in session.items if is_timed(item)]
    if timed_cells:
        within_pytest.check(config, timed_cells)
        try:
            config.stash[BENCH] = BenchmarkSession(timed_cells, config)
        except (RecordError, resume.ResumeError, Busy) as error:
            raise pytest.UsageError(str(error)) from None


def is_timed(item: pytest.Item) -> bool:
    """Return whether the test times a cell; every other test is a check."""
    return isinstance(item, pytest.Function) and "timed_cell" in item.fixturenames


def _cell(item: pytest.Item) -> cells.Cell:
    """Return the cell that a timed test measures."""
    assert isinstance(item, pytest.Function)
    kind = "freeze" if item.function.__name__ == "test_freeze" else "backward"
    return cells.Cell(kind, **{n: str(v) for n, v in item.callspec.params.items()})


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Save the run, fail the session if that or a canary failed, and compare with another ref."""
    bench = session.config.stash.get(BENCH, None)
    if bench:
        bench.finish()
        if (bench.save_error or bench.canary_failed) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        within_pytest.compare(session, bench.cells)


@pytest.hookimpl(trylast=True)  # after pytest-benchmark's own tables
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print layouts that were guessed, the summary of the session and of the comparison."""
    for line in terminalreporter.config.stash.get(GUESSES, []):
        terminalreporter.write_line(line, yellow=True)
    bench = terminalreporter.config.stash.get(BENCH, None)
    if bench:
        bench.summary(terminalreporter)
        within_pytest.summary(terminalreporter)


@pytest.fixture
def timed_cell(request: pytest.FixtureRequest) -> Any:
    """Return the cell's record and its samples, which the test replays into `benchmark`.

    A test must request this fixture before `benchmark`, which reads the marker that is set here. A
    cell that cannot exist is skipped, with the reason.
    """
    bench, cell = request.config.stash[BENCH], _cell(request.node)
    record, series = bench.result(cell)
    if record["outcome"] == "unsupported":
        pytest.skip(record["missing"]["seconds"])
    group = " ".join(part for part in cell.group[1:] if part != "-")
    request.node.add_marker(pytest.mark.benchmark(timer=series.now, group=group))
    return record, series


@pytest.fixture(scope="session")
def workers() -> Iterator[CheckWorkers]:
    """Hold the workers of the checks, one for each framework and precision."""
    started = CheckWorkers()
    yield started
    started.close()
