"""Measure every session that the committed reference needs, one after another (``make reference``).

A session is one pytest command line. A session that has a complete run already is not measured
again, and one that was stopped is resumed, so the same command can be repeated until all sessions
are complete. At the end a report of all runs is written.

Exit codes: 0 all went well, 1 a session or the report failed, 2 bad arguments or a run that cannot
be read, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.selection import cost
from benchmarks.harness.selection.names import split_names
from benchmarks.harness.selection.options import Selection
from benchmarks.harness.session import resume
from benchmarks.machine import environment
from benchmarks.paths import ROOT
from results.records import canary_status, failures, storage
from results.records.record import RecordError, Run

OUT = ROOT / "results" / "reference"
RUNS = OUT / "runs"
MINUTES = 60.0  # for all sessions together, on 2 CPU cores
LAUNCHES = 6  # pytest's default, for the estimate
ENDING_SECONDS = 60.0  # in which a stopped session saves its records and ends its workers
FAILED, ERROR, STOPPED = 1, 2, 130


@dataclass(frozen=True)
class ReferenceSession:
    """Name one session and the pytest options that select its cells.

    ``selection`` maps an option, without its dashes, to names separated by commas.
    """

    name: str
    selection: Mapping[str, str]

    @property
    def arguments(self) -> list[str]:
        """Return pytest's arguments without the folder; they identify the runs of this session."""
        selected = (f"--{option}={names}" for option, names in self.selection.items())
        return ["benchmarks", "--benchmark-only", "--device=cpu", *selected]

    def cost(self) -> cost.Cost:
        """Estimate how long the session takes on 2 CPU cores."""
        names = {option: split_names([value]) for option, value in self.selection.items()}
        return cost.estimate(Selection(**names), LAUNCHES, cost.CELL_SECONDS)  # type: ignore[arg-type]


CROSSOVER = {
    "kind": "backward",
    "scenario": "stacked_cascade",
    "strategy": "summed,separate_retained",
    "phase": "backward",
}
MAPPED = "n8,n16,front4,back4"  # the variants that session `large` does not measure
# the most important sessions first: `--minutes` leaves out sessions from the end
PLAN = (
    ReferenceSession("seed_and_medium", {"size": "seed,medium"}),
    ReferenceSession(
        "modes",
        {
            "kind": "backward",
            "scenario": "conv_cascade,linear_cascade,three_network_cascade,stacked_cascade",
            "size": "medium",
            "mode": "all",
            "strategy": "summed,separate_retained",
            "phase": "gradient",  # the phase whose time says when compiling has paid for itself
        },
    ),
    ReferenceSession("small", {"size": "small"}),
    ReferenceSession(
        "large",
        {
            "scenario": "conv_cascade,linear_cascade,three_network_cascade,stacked_cascade",
            "size": "large",
            "phase": "backward",
        },
    ),
    ReferenceSession(
        "freeze_large",
        {
            "kind": "freeze",
            "scenario": "stacked_cascade",
            "variant": "frozen_net1,frozen_net2",
            "size": "large",
            "strategy": "all",
            "phase": "step",
        },
    ),
    ReferenceSession("distributed", {"kind": "distributed", "size": "small"}),
    ReferenceSession(
        "crossover_batch32", CROSSOVER | {"variant": f"n2,n4,{MAPPED}", "size": "large_batch32"}
    ),
    ReferenceSession("crossover_batch512", CROSSOVER | {"variant": MAPPED, "size": "large"}),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the sessions that are not complete, write the report, and return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    folder, sessions = Path(options.results).resolve(), list(_sessions_within(options.minutes))
    if not sessions:
        parser.error(f"--minutes {options.minutes:g}: not even the first session fits; see --list")
    try:
        if options.list:
            _print_plan(folder, sessions)
            return 0
        storage.check_writable(folder)
        out = Path(options.out).resolve()
        if options.report:
            return 0 if _write_report(storage.find_runs(folder), out) else FAILED
        cluster = Path(options.cluster).resolve() if options.cluster else None
        failed = _measure(sessions, folder, cluster)
        if not _write_report(_paths_of_sessions(folder, cluster), out):
            failed.append("report")
    except RecordError as error:
        print(f"reference: {error}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        print("reference: stopped; the same command goes on from here", file=sys.stderr)
        return STOPPED
    if failed:
        print(f"reference: failed: {', '.join(failed)}; the same command tries again")
    return FAILED if failed else 0


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation.reference", description=__doc__
    )
    parser.add_argument("--results", default=str(RUNS), help=f"folder of runs ({_short(RUNS)})")
    parser.add_argument("--out", default=str(OUT), help=f"folder of the report ({_short(OUT)})")
    parser.add_argument(
        "--minutes",
        type=float,
        default=MINUTES,
        help="leave out sessions from the end that would not fit into this (60)",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="report the runs that are there, of any machine; measure nothing",
    )
    parser.add_argument(
        "--cluster", metavar="FILE", help="measure on the nodes that this file names (cluster.md)"
    )
    parser.add_argument("--list", action="store_true", help="the sessions and their cost, no more")
    return parser


def _short(path: Path) -> str:
    """Return a path relative to the root of the project."""
    return str(path.relative_to(ROOT))


def _sessions_within(minutes: float) -> Iterator[ReferenceSession]:
    """Yield the sessions that fit into this many minutes, and print which are left out."""
    total = 0.0
    for index, session in enumerate(PLAN):
        total += session.cost().seconds / 60
        if not total <= minutes:
            left = ", ".join(one.name for one in PLAN[index:])
            print(f"left out, as --minutes is {minutes:g}: {left}")
            return
        yield session


def _measure(
    sessions: Iterable[ReferenceSession], folder: Path, cluster: Path | None = None
) -> list[str]:
    """Measure every session that has no complete run.

    Args:
        sessions: in the order of measuring.
        folder: of all runs.
        cluster: the file of a cluster whose nodes measure; None: this machine does.

    Returns:
        The names of the sessions that failed, with their exit codes.
    """
    failed = []
    for session in sessions:
        run, start = newest_run(session, folder, cluster), time.monotonic()
        if run and all(map(is_complete, runs_of_session(run, folder))):
            print(f"== {session.name}: there already, run {run.id}", flush=True)
            continue
        command = pytest_command(session, folder, run, cluster)
        about = f"about {session.cost().seconds / 60:.1f} min"
        print(f"== {session.name}, {about}: {shlex.join(command[2:])}", flush=True)
        code = execute(command)
        print(f"== {session.name}: {(time.monotonic() - start) / 60:.1f} min", flush=True)
        if code:
            failed.append(f"{session.name} (exit code {code})")
    return failed


def pytest_command(
    session: ReferenceSession, folder: Path, run: Run | None, cluster: Path | None = None
) -> list[str]:
    """Return the command line that measures the session, or resumes its run.

    A run with a failed canary is not resumed: its times cannot be trusted.
    """
    resuming = [f"--resume={run.id}"] if run and not canary_status.failed(run.settings) else []
    pytest = [sys.executable, "-m", "pytest"]
    # a run records its arguments and is published, so it should name no path of this machine
    results = _short(folder) if folder.is_relative_to(ROOT) else folder
    on = [f"--cluster={cluster}"] if cluster else []
    return [*pytest, *session.arguments, f"--results={results}", *on, *resuming]


def newest_run(session: ReferenceSession, folder: Path, cluster: Path | None = None) -> Run | None:
    """Return the session's newest run that the present code has measured.

    None if there is no such run. It is of this machine, or with a cluster of the nodes of one.
    """
    machine, code = environment.describe()["id"], resume.code_digest([])
    for path in sorted(storage.find_runs(folder), key=lambda path: path.stem, reverse=True):
        if cluster or path.parent.name == machine:
            run = storage.load_run(path)
            fits = bool(run.settings.get("cluster")) == bool(cluster)
            same = run.settings.get("code") == code and _arguments_of(run) == session.arguments
            if fits and same:
                return run
    return None


def runs_of_session(run: Run, folder: Path) -> list[Run]:
    """Return a run, and those of other machines that one session on a cluster has made with it."""
    session = (run.settings.get("cluster") or {}).get("session")
    if not session:
        return [run]
    runs = map(storage.load_run, storage.find_runs(folder))
    return [one for one in runs if (one.settings.get("cluster") or {}).get("session") == session]


def _arguments_of(run: Run) -> list[str]:
    """Return a run's arguments without its folder and without ``--resume``."""
    own = ("--results=", "--resume=", "--cluster=")
    return [a for a in run.settings.get("arguments", []) if not str(a).startswith(own)]


def is_complete(run: Run) -> bool:
    """Return whether the run has finished, without a failed cell or a failed canary."""
    ended = run.finished is not None and not run.interrupted
    return ended and not failures.failed(run.records) and not canary_status.failed(run.settings)


def _paths_of_sessions(folder: Path, cluster: Path | None = None) -> list[Path]:
    """Return the files of the newest run, or runs, of every session that has one."""
    newest = [run for session in PLAN if (run := newest_run(session, folder, cluster))]
    runs = [run for first in newest for run in runs_of_session(first, folder)]
    return [folder / run.machine["id"] / f"{run.id}.json" for run in runs]


def _write_report(paths: Sequence[Path], out: Path) -> bool:
    """Write the report of these runs, if there are any; return whether that succeeded."""
    if not paths:
        return True
    command = [sys.executable, "-m", "benchmarks.cli", "report", *map(str, paths)]
    return execute([*command, "--out", str(out)]) == 0


def execute(command: Sequence[str]) -> int:
    """Run a command in the root of the project and return its exit code.

    If this process is stopped, the command is interrupted as well, and has `ENDING_SECONDS` to
    save its records.
    """
    # in a process group of its own, so that Ctrl-C reaches it only once, from here
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    try:
        return process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        raise


def _print_plan(folder: Path, sessions: Iterable[ReferenceSession]) -> None:
    """Print each session with its cells, its estimated minutes and the state of its run."""
    total = 0.0
    print(f"{'session':20}{'cells':>7}{'minutes':>9}{'so far':>8}  run")
    for session in sessions:
        estimated, run = session.cost(), newest_run(session, folder)
        total += estimated.seconds
        minutes = f"{estimated.seconds / 60:9.1f}{total / 60:8.1f}"
        state = "none" if run is None else f"{run.id}{'' if is_complete(run) else ', not whole'}"
        print(f"{session.name:20}{estimated.cells:7}{minutes}  {state}")
        print(f"  pytest {shlex.join([*session.arguments, f'--results={folder}'])}")


if __name__ == "__main__":
    for stopping in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C
        signal.signal(stopping, signal.default_int_handler)
    sys.exit(main())
