"""Connect pytest with the suite: its options, the parameters of the tests, and the session."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import (
    pytest_collection,
    pytest_options,
    pytest_parameters,
    pytest_profile,
    pytest_selection,
)
from benchmarks.cluster import settings as cluster_settings
from benchmarks.cluster.errors import ClusterError
from benchmarks.cluster.settings import ClusterSettings
from benchmarks.harness.launches import session_workers
from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.harness.protocol import cells, memory_limit
from benchmarks.harness.selection import check_tiers, options
from benchmarks.harness.session import native_outputs, resume
from benchmarks.harness.session.lock import Busy
from benchmarks.harness.session.session import BenchmarkSession
from benchmarks.machine import releases
from benchmarks.pytest_parameters import cell_of, is_timed
from benchmarks.regression import within_pytest
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.external import loading
from benchmarks.scenarios.external.errors import SpecError
from benchmarks.scenarios.external.guesses import layout_guesses
from results.formatting import one_line
from results.records.record import RecordError
from results.terminal.stdout import replace_what_cannot_be_encoded

if TYPE_CHECKING:
    from benchmarks.cluster.session import ClusterSession

SELECTION = pytest.StashKey[options.Selection]()
GUESSES = pytest.StashKey[list[str]]()  # lines on layouts that no spec declares
HAS_EXTERNAL = pytest.StashKey[bool]()  # whether --scenario-path has loaded scenarios
BENCH = pytest.StashKey["BenchmarkSession | ClusterSession"]()
CLUSTER = pytest.StashKey[ClusterSettings]()  # what the file of --cluster says, if there is one
COLLECTED = pytest.StashKey[pytest_collection.Collected]()
NATIVE_FAILURES = pytest.StashKey[list[str]]()  # of pytest-benchmark at its end, a line each

# of the command line, or of the files that it names
MISTAKES = (options.SelectionError, SpecError, RecordError, memory_limit.LimitError, ClusterError)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this suite to pytest's."""
    group = pytest_options.add_options(parser)
    pytest_options.hint_at_near_misses(parser, group, sys.argv[1:])


def pytest_configure(config: pytest.Config) -> None:
    """Load the user's own scenarios and read the selection; a mistake ends the session.

    So does a file that could not be written at the end, and a framework that is not installed.
    """
    replace_what_cannot_be_encoded(sys.stdout, sys.stderr)
    try:
        pytest_options.check(config)
        paths, limit = config.getoption("scenario_path") or (), config.getoption("cell_limit")
        own = loading.load(paths, limit)
        config.stash[HAS_EXTERNAL], config.stash[GUESSES] = bool(own), layout_guesses(own)
        config.stash[SELECTION] = pytest_selection.selection_of(config)
        pytest_profile.check(config)
        if config.getoption("cluster"):
            config.stash[CLUSTER] = cluster_settings.read(Path(config.getoption("cluster")))
        memory_limit.worker_memory()
        if not config.option.collectonly:
            native_outputs.check(config)
    except MISTAKES as error:
        raise pytest.UsageError(one_line(error)) from None


def pytest_sessionstart(session: pytest.Session) -> None:
    """Guard the end of pytest-benchmark, which has been configured by now."""
    session.config.stash[NATIVE_FAILURES] = native_outputs.guard(session.config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each timed test its cells and each check its problems, as strings only."""
    selection = metafunc.config.stash[SELECTION]
    if "timed_cell" in metafunc.fixturenames:
        pytest_parameters.parametrize_timed(metafunc, selection)
    else:
        pytest_parameters.parametrize_checks(metafunc, selection)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put checks before timed tests, and deselect those that the options exclude.

    ``--benchmark-only`` excludes checks, ``--benchmark-skip`` timed tests: pytest-benchmark would
    skip them one by one, in hundreds of lines.
    """
    timed = {item for item in items if is_timed(item)}
    unfit = {item for item in items if "NOTSET" in item.name}  # no problem or cell fits
    unwanted = set(unfit)
    if config.getoption("benchmark_only"):
        unwanted |= set(items) - timed
    if config.getoption("benchmark_skip"):
        unwanted |= timed
    if config.stash[HAS_EXTERNAL]:
        unwanted |= {item for item in items if not _is_of(item, config.stash[SELECTION])}
    items[:] = [item for item in items if item not in unwanted]
    config.stash[COLLECTED] = pytest_collection.Collected(
        names=[item.name for item in items],
        without_problem=sorted({item.name.partition("[")[0] for item in unfit - timed}),
    )
    mark_slow(items)
    config.hook.pytest_deselected(items=list(unwanted))
    items.sort(key=lambda item: (is_timed(item), _file_of(item)))


def _file_of(item: pytest.Item) -> str:
    """Return the user's spec that a check is of; empty for every other test.

    The checks of a file follow one another: they run in workers of their own, which end when those
    of the next file start.
    """
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    names = [value[0] if isinstance(value, tuple) and value else value for value in values]
    specs = [CATALOGUE[name] for name in names if isinstance(name, str) and name in CATALOGUE]
    return "" if is_timed(item) or not specs else str(specs[0].file or "")


def mark_slow(items: list[pytest.Item]) -> None:
    """Mark the checks that are left to `make test-all`, see `check_tiers`.

    Tests of other folders, which may have parameters of the same names, stay as they are.
    """
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
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
    timed_cells = [cell_of(item) for item in session.items if is_timed(item)]
    if timed_cells:
        within_pytest.check(config, timed_cells)
        try:
            config.stash[BENCH] = _start_session(timed_cells, config)
        except (RecordError, resume.ResumeError, Busy, ClusterError) as error:
            raise pytest.UsageError(str(error)) from None


def _start_session(
    timed_cells: list[cells.Cell], config: pytest.Config
) -> BenchmarkSession | ClusterSession:
    """Start the session that measures: on the nodes of a cluster, if one is named, else here."""
    cluster = config.stash.get(CLUSTER, None)
    if cluster is None:
        return BenchmarkSession(timed_cells, config)
    from benchmarks.cluster.session import ClusterSession

    return ClusterSession(timed_cells, config, cluster)


def pytest_report_collectionfinish(
    config: pytest.Config, items: Sequence[pytest.Item]
) -> list[str]:
    """Return lines that say what the session is going to do, or why it does nothing."""
    if config.option.collectonly and items:
        return []
    timed_cells = [cell_of(item) for item in items if is_timed(item)]
    collected = config.stash.get(COLLECTED, pytest_collection.Collected())
    return list(pytest_collection.announcement(config, collected, items, timed_cells))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Save the run, fail the session if that or a canary failed, and compare with another ref.

    A session in which every test was skipped ends as one without tests: nothing was proven.
    """
    bench = session.config.stash.get(BENCH, None)
    skipped, ran = _reports(session.config)
    if skipped and not ran and not bench and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
    if bench:
        bench.finish()
        native = session.config.stash.get(NATIVE_FAILURES, [])
        if (bench.save_error or bench.canary_failed or native) and (
            session.exitstatus == pytest.ExitCode.OK
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        within_pytest.compare(session, bench.cells)


def _unchecked(config: pytest.Config, selected: Iterable[str]) -> Iterable[str]:
    """Return lines about what was not checked, see `pytest_collection.unchecked`."""
    return pytest_collection.unchecked(*_reports(config), tuple(selected))


def _reports(config: pytest.Config) -> tuple[list[pytest.TestReport], list[pytest.TestReport]]:
    """Return the reports of the tests that were skipped, and of those that passed or failed."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    stats = terminal.stats if terminal else {}
    ran = [one for name in ("passed", "failed", "error") for one in stats.get(name, ())]
    return list(stats.get("skipped", ())), ran


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Print layouts that were guessed, the summary of the session and of the comparison.

    It comes after pytest-benchmark's own tables, and also where these raise: with
    ``--benchmark-compare-fail`` an exception is how pytest-benchmark fails the session.
    """
    try:
        return (yield)
    finally:
        config = terminalreporter.config
        bench = config.stash.get(BENCH, None)
        selected = config.stash[SELECTION].framework or () if SELECTION in config.stash else ()
        for line in config.stash.get(GUESSES, []):
            terminalreporter.write_line(line, yellow=True)
        for line in filter(None, (releases.untested(selected), *_unchecked(config, selected))):
            terminalreporter.write_line(line, yellow=True)
        if bench:
            bench.summary(terminalreporter)
            within_pytest.summary(terminalreporter)
            pytest_profile.summary(terminalreporter)
        for failure in config.stash.get(NATIVE_FAILURES, []):
            terminalreporter.write_line(one_line(failure), red=True)


@pytest.fixture
def timed_cell(
    request: pytest.FixtureRequest,
    scenario: str,
    variant: str,
    size: str,
    framework: str,
    mode: str,
    strategy: str,
    phase: str,
    device: str,
    dtype: str,
    precision_mode: str,
) -> Any:
    """Return the cell's record and its samples, which the test replays into `benchmark`.

    A test must request this fixture before `benchmark`, which reads the marker that is set here. A
    cell that cannot exist is skipped, with the reason. The fields of the cell are arguments here
    because `pytest_generate_tests` gives them values; they stand in the test's id.
    """
    bench, cell = request.config.stash[BENCH], cell_of(request.node)
    record, series = bench.result(cell)
    if record["outcome"] == "unsupported":
        pytest.skip(record["missing"]["seconds"])
    group = " ".join(part for part in cell.group[1:] if part != "-")
    request.node.add_marker(pytest.mark.benchmark(timer=series.now, group=group))
    return record, series


@pytest.fixture(scope="session")
def workers(request: pytest.FixtureRequest) -> CheckWorkers:
    """Return the workers of the checks, one for each framework and precision.

    They compute on the CPU, as do the references of timed cells, unless ``--device`` is given.
    """
    limit, device = map(request.config.getoption, ("cell_limit", "device"))
    return session_workers.of_session(request.config, limit, device or "cpu")
