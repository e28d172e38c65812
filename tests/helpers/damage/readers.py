"""Read a run by every command that reads runs, in this process, and judge what comes out."""

from __future__ import annotations

import csv
import re
import time
from concurrent.futures import Future
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import main
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.session import resume
from benchmarks.harness.session.measurements import Measurements
from benchmarks.harness.session.session import BenchmarkSession
from benchmarks.machine import environment
from results.records import storage
from results.records.record import RecordError, Run
from results.report.export import FORMULA
from tests.helpers.terminal_text import unprintable

EXIT_CODES = (0, 1, 2, 3)
BROKEN = re.compile(r"Traceback \(most recent|INTERNALERROR|panicked")


class NoPictures:
    """Stand in for `results.report.images.ChartRenderer`, whose process takes seconds to start."""

    def __init__(self) -> None:
        self.scripts: Future[str] = Future()
        self.scripts.set_result("/* scripts */")

    def __enter__(self) -> NoPictures:
        return self

    def __exit__(self, *error: object) -> None:
        """Do nothing."""

    def drawings(self, charts: Any) -> Future[dict[str, str]]:
        """Make every specification, and an empty drawing of it."""
        done: Future[dict[str, str]] = Future()
        done.set_result({chart.name: "<svg></svg>" for chart in charts if chart.spec})
        return done

    def render(self, charts: Any) -> list[Future[dict[str, bytes]]]:
        """Make every specification, and no picture of it."""
        names = {
            f"{chart.name}.svg": str(chart.spec).encode("utf-8", "replace") for chart in charts
        }
        done: Future[dict[str, bytes]] = Future()
        done.set_result(names)
        return [done]


class Readers:
    """All readers of a run that stands beside a sound one.

    Args:
        folder: of the runs; the output goes into a folder beside it.
        sound: the JSON file of the sound run.
        damaged: that of the other.
    """

    def __init__(self, folder: Path, sound: Path, damaged: Path) -> None:
        self.folder, self.sound, self.damaged = folder, sound, damaged
        self.out = folder.parent / "out"

    def read_all(self, *, thorough: bool = True) -> dict[str, int]:
        """Read the run by every reader; fail where one misbehaves.

        Args:
            thorough: whether a run that is refused is given to every reader, not to `show` and
                `--resume` alone, and whether a report is written, not only printed. All read a run
                by the same door, so that most damage can be tried in a tenth of the time.

        Returns:
            The exit code of each command.
        """
        before = self._files()
        run, sound, runs = str(self.damaged), str(self.sound), f"--results={self.folder}"
        commands = {
            "show": ("show", run),
            "history": ("history", runs, "--machine=box-1"),
            "report": ("report", run, sound, "--markdown"),
            "regress": ("regress", runs, "--stored", sound, run),
        }
        codes = {"show": self.command(*commands.pop("show"))}
        if thorough or codes["show"] == 0:
            codes |= {name: self.command(*words) for name, words in commands.items()}
            assert codes["history"] == 0, "the sound run must be shown whatever is beside it"
        if codes["show"] == 0:
            assert codes["report"] == 0
            self._read_more(run, sound, runs, write=thorough)
        self._resume()
        self._judge_files()
        assert self._files() - before <= {self.folder / ".history.parquet"}
        return codes

    def _read_more(self, run: str, sound: str, runs: str, *, write: bool) -> None:
        """Read a run that is not refused by the commands that are left."""
        assert self.command("show", run, "--times") == 0
        assert self.command("show", run, "--json") == 0
        assert self.command("history", runs, "--json") == 0
        self.command("regress", runs, "--stored", run, sound, "--markdown")
        if write:
            assert self.command("report", run, sound, f"--out={self.out}") == 0

    def command(self, *arguments: str) -> int:
        """Run one command; return its exit code."""
        out, err = StringIO(), StringIO()
        begin = time.process_time()  # other work on the machine does not count
        with redirect_stdout(out), redirect_stderr(err):
            code = main(arguments)
        assert time.process_time() - begin < 20, arguments
        assert code in EXIT_CODES
        for text in (out.getvalue(), err.getvalue()):
            assert unprintable(text) == "", (arguments, unprintable(text))
            assert not BROKEN.search(text), text
        lines = err.getvalue().splitlines()
        assert all(line.startswith("cascade-bench: ") for line in lines), lines
        assert code != 2 or lines
        return code

    def _resume(self) -> None:
        """Go on with the run as `--resume` does, up to where measuring would begin."""
        try:
            _resumed(resume.find_run(str(self.damaged), self.folder, "box-1"))
        except (RecordError, resume.ResumeError) as error:
            said = str(error)
        else:
            return
        assert unprintable(said) == ""
        assert "\n" not in said

    def _judge_files(self) -> None:
        """Fail where a file of the report holds what a reader of it would obey."""
        for path in self.out.rglob("*") if self.out.exists() else ():
            if path.suffix in (".html", ".md"):
                text = path.read_text("utf-8")
                assert unprintable(text) == "", path
                assert "<script>alert" not in text
            if path.name == "cells.csv":
                with path.open(newline="", encoding="utf-8") as file:
                    cells = {cell for row in csv.reader(file, strict=True) for cell in row}
                texts = (cell for cell in cells if cell != "-" and not _is_number(cell))
                assert not [text for text in texts if text.startswith(FORMULA)]

    def _files(self) -> set[Path]:
        """Return every path under the parent of the folder of runs, but for the output."""
        above = self.folder.parent
        return {path for path in above.rglob("*") if self.out not in (path, *path.parents)}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _resumed(run: Run) -> None:
    """Go on with a run: as a session of the same cells, settings and machine would."""
    session = object.__new__(BenchmarkSession)
    session.cells = [resume.cell_of(record) for record in run.records]
    session.machine = dict.fromkeys(environment.STABLE) | {"id": run.machine["id"]}
    session.settings = {"code": run.settings.get("code"), "launches": run.settings.get("launches")}
    session.measurements, session.interrupted = Measurements(), False
    session._begin = time.monotonic()
    session._resume(run)
    assert all(isinstance(cell, Cell) for cell in session.cells)


def without_pictures(patch: pytest.MonkeyPatch, *, validate: bool) -> None:
    """Have reports make no pictures.

    Args:
        patch: undoes it.
        validate: whether Altair holds each specification to its schema, which takes most of the
            time of a report and depends little on the data.
    """
    patch.setattr("results.report.writing.ChartRenderer", NoPictures)
    patch.setattr("altair.utils.schemapi.DEBUG_MODE", validate)


def save_pair(folder: Path, sound: Run, other: Run) -> tuple[Path, Path]:
    """Save a sound run, and the run to damage, in one folder; return their JSON files."""
    return storage.save_run(sound, folder), storage.save_run(other, folder)
