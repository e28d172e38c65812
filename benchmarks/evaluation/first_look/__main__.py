"""Take a first look at a machine within minutes, and leave all of it in one folder (``make gpu``).

What the machine is, checks in both frameworks, canaries, the default selection, memory, a
comparison of the files with themselves, profiles, the report. A step that fails or takes too long
ends none of the others. Nothing is installed, and nothing but the folder is written. Each step's
outcome is in ``summary.md`` and ``summary.json`` as soon as it is known, its output in ``log.txt``.

Exit codes: 0 every step went well, 1 one did not, 2 bad arguments, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from benchmarks.evaluation.first_look import packing
from benchmarks.evaluation.first_look.steps import Request, Step, steps
from benchmarks.harness.selection.options import DEVICES
from benchmarks.machine import environment, frameworks
from benchmarks.paths import ROOT
from results.records import canary_status, storage
from results.records.record import RecordError

OUT = ROOT / "build" / "first_look"
MINUTES = 8.0  # of which the seconds of the steps are shares
# in which a step that was stopped saves what it has: so many seconds, or a third of its time
ENDING_SECONDS, ENDING_SHARE = 12.0, 1 / 3
FAILED, STOPPED = 1, 130
MACHINE = ("gpu", "driver", "cpu", "platform", "kernel", "container")  # in the page; all in JSON
PACKAGES = ("torch", "jax", "jaxlib", "flax", "optax", "numpy", "pytest", "pytest-benchmark")


def main(arguments: Sequence[str] | None = None) -> int:
    """Take every step, write what came of it, and return the exit code."""
    options = _parser().parse_args(arguments)
    out = Path(options.out).absolute()
    _empty(out)
    with tempfile.TemporaryDirectory(prefix="cascade-bench-first-look-") as work:
        present = tuple(frameworks.present())
        request = Request(options.device, Path(work), present, options.scenario)
        look = FirstLook(request, out, 60.0 * options.minutes)
        return look.take(steps(request) if present else steps(request)[:1])


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation.first_look", description=__doc__
    )
    parser.add_argument("--out", default=str(OUT), help="folder of what is found; it is emptied")
    parser.add_argument(
        "--device", default="cuda", choices=DEVICES, help="cpu: a rehearsal, at the smallest size"
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all of it (8)")
    parser.add_argument(
        "--scenario", default="", metavar="NAME[,NAME]", help="check and time no others"
    )
    return parser


def _empty(out: Path) -> None:
    """Make the folder of results, without the files of an earlier look."""
    out.mkdir(parents=True, exist_ok=True)
    known = [*packing.ARCHIVES, *packing.PAGES, packing.LOG, "summary.md", "summary.json"]
    for name in (*known, "machine.json", "report.md"):
        (out / name).unlink(missing_ok=True)


class FirstLook:
    """Take the steps within a time, and keep what is known of each in the folder of results."""

    def __init__(self, request: Request, out: Path, seconds: float) -> None:
        self.request, self.out, self.seconds = request, out, seconds
        self.began = time.monotonic()
        self.machine = environment.describe()  # whatever comes of the first step
        self.outcomes: list[dict[str, Any]] = []
        self.left_out: list[str] = []
        self.stopped = False

    def take(self, planned: Sequence[Step]) -> int:
        """Take each step, whatever came of those before; return the exit code."""
        whole, due = sum(step.seconds for step in planned), 0.0
        try:
            for step in planned:
                due += self.seconds * step.seconds / whole
                self._take_one(step, due - (time.monotonic() - self.began))
        except KeyboardInterrupt:
            self.stopped = True
        self._write()
        print(self._markdown(), flush=True)
        if self.stopped:
            return STOPPED
        return FAILED if any(not one["passed"] for one in self.outcomes) else 0

    def _take_one(self, step: Step, seconds: float) -> None:
        """Take one step in this time at most, and write what came of it."""
        print(f"== {step.name}, at most {seconds:.0f} s", flush=True)
        start = time.monotonic()
        try:
            with (self.out / packing.LOG).open("ab") as log:
                log.write(f"\n== {step.name}: python {' '.join(step.arguments)}\n".encode())
                log.flush()
                code, printed = self._execute(step, max(1.0, seconds), log)
        except (OSError, RecordError) as error:
            code, printed = -1, str(error)
        outcome = self._outcome_line(step, code, printed)
        self.outcomes.append(
            {
                "step": step.name,
                "code": code,
                "passed": _passed(step, code, outcome),
                "seconds": round(time.monotonic() - start, 1),
                "said": outcome,
            }
        )
        print(f"== {step.name}: {outcome}", flush=True)
        self._write()

    def _execute(self, step: Step, seconds: float, log: IO[bytes]) -> tuple[int | None, str]:
        """Run a step; return its exit code, None where it took too long, and its output."""
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                [sys.executable, *step.arguments, *self._runs_of(step)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log if step.output else output,
                start_new_session=True,  # so that a step ends with all that it has started
            )
            code = _wait(process, seconds)
            output.seek(0)
            printed = output.read()
        log.write(printed)
        if step.output and printed:
            (self.out / step.output).write_bytes(printed[: packing.MOST_BYTES])
        return code, printed.decode(errors="replace")

    def _runs_of(self, step: Step) -> list[str]:
        """Return the runs that a report is of: all that were measured before."""
        if "report" not in step.arguments:
            return []
        return [str(path) for path in storage.find_runs(self.request.work / "runs")]

    def _outcome_line(self, step: Step, code: int | None, printed: str) -> str:
        """Return in a line what came of a step."""
        lines = [line.strip() for line in printed.splitlines() if line.strip()]
        last = lines[-1][:200] if lines else "no output"
        if code is None:
            return f"took too long and was stopped; what it had is kept; last: {last}"
        if step.name == "canaries" and not code:
            return self._canaries()
        if step.name in ("regress", "regress, counts"):
            return next((line for line in lines if "(exit code" in line), last)[:200]
        if step.output and not code:
            return f"see {step.output}"
        return last if code in step.fine else f"exit code {code}: {last}"

    def _canaries(self) -> str:
        """Return what the canaries of the newest run said."""
        try:
            paths = storage.find_runs(self.request.work / "runs")
            settings = storage.load_run(max(paths, key=lambda path: path.stem)).settings
        except (RecordError, ValueError) as error:
            return f"FAILED: no run was left: {error}"
        failed = canary_status.failed(settings)
        return f"FAILED: {'; '.join(failed)}" if failed else str(canary_status.summary(settings))

    def _write(self) -> None:
        """Write the archives and the summary, so that they are there whenever this ends."""
        with contextlib.suppress(OSError):  # a full disk: the summary matters more
            self.left_out = packing.pack(self.request.work, self.out)
        (self.out / "summary.json").write_text(json.dumps(self._document(), indent=1) + "\n")
        (self.out / "summary.md").write_text(self._markdown())

    def _document(self) -> dict[str, Any]:
        """Return what is known so far as plain data."""
        return {
            "device": self.request.device,
            "size": self.request.size,
            "seconds": round(time.monotonic() - self.began, 1),
            "python": sys.version.split()[0],
            "machine": self.machine,
            "packages": {name: environment.installed(name) for name in PACKAGES},
            "stopped": self.stopped,
            "steps": self.outcomes,
            "left_out": self.left_out,
        }

    def _markdown(self) -> str:
        """Return what is known so far as a page."""
        known = self._document()
        packages = ", ".join(f"{n} {v or 'not installed'}" for n, v in known["packages"].items())
        machine = ", ".join(str(self.machine[key]) for key in MACHINE if self.machine.get(key))
        lines = [
            f"# A first look, {self.request.device}, size {self.request.size}",
            "",
            machine,
            "",
            f"{known['seconds']} s; Python {known['python']}, {packages}",
            "",
            "| | step | s | what came of it |",
            "|---|---|--:|---|",
        ]
        for one in self.outcomes:
            outcome, mark = one["said"].replace("|", "\\|"), "✓" if one["passed"] else "✗"
            lines.append(f"| {mark} | {one['step']} | {one['seconds']} | {outcome} |")
        lines += [""] + ["Stopped by Ctrl-C."] * self.stopped
        return "\n".join([*lines, *(f"- {line}" for line in self.left_out)]) + "\n"


def _passed(step: Step, code: int | None, outcome: str) -> bool:
    """Return whether a step went well, by its exit code and what is said of it."""
    ended = step.may_be_cut if code is None else code in step.fine
    return ended and not outcome.startswith("FAILED")


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Wait for a process; stop it where it takes too long, as Ctrl-C does, and then for good.

    Args:
        process: leader of its group.
        seconds: for all of it, ending included.

    Returns:
        Its exit code; None where it took too long.
    """
    ending = min(ENDING_SECONDS, ENDING_SHARE * seconds)
    try:
        return process.wait(timeout=seconds - ending)
    except subprocess.TimeoutExpired:
        _end(process, ending)
        return None
    except BaseException:
        _end(process, ENDING_SECONDS)
        raise


def _end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Interrupt a process, which then saves what it has, and kill what is left of its group.

    Args:
        process: leader of its group.
        seconds: that it has to save.
    """
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    # the first too: a shell has its background jobs ignore it, and what they start, the steps
    for stopping in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stopping, signal.default_int_handler)
    sys.exit(main())
