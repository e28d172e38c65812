"""Run every session that the committed reference needs, in a row (``make reference``).

A session is a plain pytest command line. One whose run is there and whole is not measured again,
one that was stopped is gone on with, so the same command can be given until all are there. The
report of all of them is written at the end.

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
from benchmarks.harness.selection.options import Selection
from benchmarks.harness.session import resume
from benchmarks.machine import environment
from benchmarks.paths import ROOT
from results.records import canary_status, failures, storage
from results.records.record import RecordError, Run

OUT = ROOT / "results" / "reference"
RUNS = OUT / "runs"
MINUTES = 60.0  # what all of it may take on 2 CPU cores
LAUNCHES, CELL_SECONDS = 6, 0.05  # pytest's defaults, for the estimate
ENDING_SECONDS = 60.0  # a session that is stopped saves what it has, and lets its workers go
FAILED, ERROR, STOPPED = 1, 2, 130


@dataclass(frozen=True)
class Session:
    """One run: what is ``chosen`` of it, by pytest's options, each with its names."""

    name: str
    chosen: Mapping[str, str]

    @property
    def arguments(self) -> list[str]:
        """What pytest is given beside the folder: a run that was asked for so is this session's."""
        chosen = (f"--{option}={names}" for option, names in self.chosen.items())
        return ["benchmarks", "--benchmark-only", "--device=cpu", *chosen]

    def cost(self) -> cost.Cost:
        """How long it will take on 2 CPU cores."""
        names = {option: tuple(given.split(",")) for option, given in self.chosen.items()}
        return cost.estimate(Selection(**names), LAUNCHES, CELL_SECONDS)  # type: ignore[arg-type]


CROSSOVER = {
    "kind": "backward",
    "scenario": "stacked_cascade",
    "strategy": "summed,separate_retained",
    "phase": "backward",
}
MAPPED = "n8,n16,front4,back4"  # beside the two that `large` has
# in the order of what would be missed most: `--minutes` leaves out from the end
PLAN = (
    Session("default", {}),
    Session(
        "modes",
        {
            "kind": "backward",
            "scenario": "conv_cascade,linear_cascade,three_network_cascade,stacked_cascade",
            "size": "medium",
            "mode": "all",
            "strategy": "summed,separate_retained",
            "phase": "gradient",  # of which a compiled mode has a time when it has paid for itself
        },
    ),
    Session("small", {"size": "small"}),
    Session(
        "large",
        {
            "scenario": "conv_cascade,linear_cascade,three_network_cascade,stacked_cascade",
            "size": "large",
            "phase": "backward",
        },
    ),
    Session(
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
    Session(
        "crossover_batch32", CROSSOVER | {"variant": f"n2,n4,{MAPPED}", "size": "large_batch32"}
    ),
    Session("crossover_batch512", CROSSOVER | {"variant": MAPPED, "size": "large"}),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is not there yet, write the report; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    folder, sessions = Path(options.results).resolve(), list(_within(options.minutes))
    if not sessions:
        parser.error(f"--minutes {options.minutes:g}: not even the first session fits; see --list")
    try:
        if options.list:
            _list(folder, sessions)
            return 0
        storage.check_writable(folder)
        failed = _measured(sessions, folder)
        if not _reported(folder, Path(options.out).resolve()):
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
    parser.add_argument("--list", action="store_true", help="the sessions and their cost, no more")
    return parser


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _within(minutes: float) -> Iterator[Session]:
    """The sessions that fit into so many minutes; says which are left out."""
    total = 0.0
    for index, session in enumerate(PLAN):
        total += session.cost().seconds / 60
        if not total <= minutes:
            left = ", ".join(one.name for one in PLAN[index:])
            print(f"left out, as --minutes is {minutes:g}: {left}")
            return
        yield session


def _measured(sessions: Iterable[Session], folder: Path) -> list[str]:
    """Measure each that is not there; the names of those that failed."""
    failed = []
    for session in sessions:
        run, start = newest(session, folder), time.monotonic()
        if run and whole(run):
            print(f"== {session.name}: there already, run {run.id}", flush=True)
            continue
        command = pytest_command(session, folder, run)
        about = f"about {session.cost().seconds / 60:.1f} min"
        print(f"== {session.name}, {about}: {shlex.join(command[2:])}", flush=True)
        code = execute(command)
        print(f"== {session.name}: {(time.monotonic() - start) / 60:.1f} min", flush=True)
        if code:
            failed.append(f"{session.name} (exit code {code})")
    return failed


def pytest_command(session: Session, folder: Path, run: Run | None) -> list[str]:
    """The command line that measures the session, or goes on with its run.

    One whose canaries failed is measured anew: nothing in it is to be believed.
    """
    going_on = [f"--resume={run.id}"] if run and not canary_status.failed(run.settings) else []
    pytest = [sys.executable, "-m", "pytest"]
    kept = _short(folder) if folder.is_relative_to(ROOT) else folder  # runs are shared: no path
    return [*pytest, *session.arguments, f"--results={kept}", *going_on]


def newest(session: Session, folder: Path) -> Run | None:
    """The newest run of the session on this machine, measured by the code as it is now."""
    machine, code = environment.describe()["id"], resume.code_digest([])
    for path in reversed(storage.find_runs(folder)):
        if path.parent.name == machine:
            run = storage.load_run(path)
            if run.settings.get("code") == code and _asked(run) == session.arguments:
                return run
    return None


def _asked(run: Run) -> list[str]:
    beside = ("--results=", "--resume=")
    return [a for a in run.settings.get("arguments", []) if not str(a).startswith(beside)]


def whole(run: Run) -> bool:
    """Whether there is nothing in it to be measured again."""
    ended = run.finished is not None and not run.interrupted
    return ended and not failures.failed(run.records) and not canary_status.failed(run.settings)


def _reported(folder: Path, out: Path) -> bool:
    """Have the report written of every session that there is a run of."""
    runs = [run for session in PLAN if (run := newest(session, folder))]
    if not runs:
        return True
    paths = [str(folder / run.machine["id"] / f"{run.id}.json") for run in runs]
    report = [sys.executable, "-m", "benchmarks.cli", "report", *paths, "--out", str(out)]
    return execute(report) == 0


def execute(command: Sequence[str]) -> int:
    """Run it in the root of the project and wait; its exit code.

    Where this process is stopped, the other one is, too, and has time to save what it has.
    """
    # in a session of its own Ctrl-C reaches it once, from here
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


def _list(folder: Path, sessions: Iterable[Session]) -> None:
    total = 0.0
    print(f"{'session':20}{'cells':>7}{'minutes':>9}{'so far':>8}  run")
    for session in sessions:
        estimated, run = session.cost(), newest(session, folder)
        total += estimated.seconds
        minutes = f"{estimated.seconds / 60:9.1f}{total / 60:8.1f}"
        state = "none" if run is None else f"{run.id}{'' if whole(run) else ', not whole'}"
        print(f"{session.name:20}{estimated.cells:7}{minutes}  {state}")
        print(f"  pytest {shlex.join([*session.arguments, f'--results={folder}'])}")


if __name__ == "__main__":
    for stopping in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C
        signal.signal(stopping, signal.default_int_handler)
    sys.exit(main())
