"""Run the trial, one stage or all of them (``make trial``).

The stages are record, replay, budgets, live and report. The traces of each machine have a folder of
their own below ``results/reference/trial``; the report shows all machines side by side.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.evaluation.trial import (
    agreement,
    evaluate,
    live,
    machines,
    plan,
    real,
    recorder,
    report,
    side_by_side,
)
from benchmarks.evaluation.trial.subjects import WrongGradients
from benchmarks.evaluation.trial.traces import TraceError
from benchmarks.harness.launches.launch import WorkerError

STAGES = ("record", "replay", "budgets", "live", "report")
ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stages; return 0, 2 after an error, or 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    stages = STAGES if options.stage == "all" else (options.stage,)
    options.traces = options.traces or machines.folder_here(plan.FOLDER)
    try:
        _check(stages, options)
        for stage in stages:
            start = time.monotonic()
            print(f"== {stage}", flush=True)
            _run(stage, options)
            print(f"== {stage}: {(time.monotonic() - start) / 60:.1f} min", flush=True)
    except (TraceError, WrongGradients, WorkerError, OSError) as error:
        print(f"trial: {error}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        print("trial: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation.trial", description=__doc__
    )
    parser.add_argument("stage", choices=(*STAGES, "all"))
    parser.add_argument("--minutes", type=float, default=plan.MINUTES, help="of recording")
    parser.add_argument("--live-minutes", type=float, default=plan.LIVE_MINUTES)
    parser.add_argument(
        "--traces", type=Path, help=f"folder of one machine's traces (one below {plan.FOLDER.name})"
    )
    parser.add_argument(
        "--comparisons", type=int, default=plan.COMPARISONS, help="of the stage budgets, a kind"
    )
    parser.add_argument("--docs", type=Path, default=plan.DOCS, help="where the report goes")
    return parser


def _check(stages: Sequence[str], options: argparse.Namespace) -> None:
    """Raise `TraceError` where the options are invalid or a program that is needed is missing."""
    for name in ("minutes", "live_minutes"):
        if not 0 < getattr(options, name) < float("inf"):
            value = getattr(options, name)
            raise TraceError(f"--{name.replace('_', '-')} {value}: must be a number above 0")
    if shutil.which("taskset") is None:
        raise TraceError(
            "the trial keeps its workers on one core by taskset, of Linux's util-linux"
        )
    missing = real.missing_packages()
    if missing and set(stages) - {"record", "budgets"}:
        raise TraceError(
            f"{' and '.join(missing)} not installed; install them: pip install -e '.[all,trial]'"
        )


def _run(stage: str, options: argparse.Namespace) -> None:
    """Run one stage; its results go to the folders that the options name."""
    if stage == "record":
        recorder.record(options.traces, options.minutes)
    elif stage == "replay":
        evaluate.main(options.traces)
        agreement.check(options.traces)
    elif stage == "budgets":
        side_by_side.compute(options.traces, options.comparisons)
    elif stage == "live":
        live.run(options.traces, options.live_minutes)
    else:
        report.write(options.traces, options.docs)


if __name__ == "__main__":
    sys.exit(main())
