"""Seed every fault of `tests.mutations` into a copy of the project: ``python -m tests.audit``.

First the checks run on a copy without a fault and must be green; then each fault's checks on a copy
with it, two at a time, and one of them must fail. Where all were caught, ``docs/audit.md`` is made
anew. Names of faults as arguments try these alone, and then only their rows change.

Exit codes: 0 every fault was caught, 1 one survived or its checks broke, 2 the audit itself cannot
be trusted (a fault that is out of date, a check that is red without one), 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from tests.mutations import AREAS, FAULTS
from tests.mutations.fault import ROOT, Fault, OutOfDate
from tests.mutations.running import Done, Runner, Verdict, copy_with, judge

PAGE = ROOT / "docs" / "audit.md"
CAUGHT, SURVIVED, UNTRUSTED, INTERRUPTED = 0, 1, 2, 130
FRAMEWORKS = ("torch", "jax", "flax", "optax")
HEAD = """\
# Mutation audit

Each row is a mistake that somebody makes, put into a copy of this project, and the test that turned
red. `make audit` seeds them all and writes this page anew; it fails where a fault survives. The
faults stand in `tests/mutations/`; adding one is adding an entry there.

{count} faults, all caught, with {versions}.
"""
AREA = """
## {area}

| fault | where | what it imitates | caught by |
| --- | --- | --- | --- |
"""
ROW = re.compile(r"^\| `(\w+(?:\.\w+)?)` \|.*\| \[(\w+)\]\(\.\./(\S+)\) \|$", re.MULTILINE)


class Untrusted(Exception):
    """The audit would prove nothing: one line that says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the audit; returns its exit code."""
    options = _parsed(arguments)
    faults = [FAULTS[name] for name in options.names] or list(FAULTS.values())
    runner = Runner()
    try:
        # the folder is the outer one: what runs in it must have ended before it is removed
        with tempfile.TemporaryDirectory() as folder, _stopping(runner, options.jobs) as pool:
            _check_green(pool, runner, faults, Path(folder))
            verdicts = _seed(pool, runner, faults, Path(folder))
    except Untrusted as error:
        print(error, file=sys.stderr)
        return UNTRUSTED
    except KeyboardInterrupt:
        print("stopped; what ran has ended and its copies are removed", file=sys.stderr)
        return INTERRUPTED
    missed = {name: one for name, one in verdicts.items() if one.outcome != "caught"}
    print(f"{len(verdicts) - len(missed)} of {len(verdicts)} faults caught")
    for name, verdict in missed.items():
        print(f"{verdict.outcome}: {name} ({FAULTS[name].file}): {verdict.said}")
    if missed:
        return SURVIVED
    _write({name: one.test for name, one in verdicts.items()})
    return CAUGHT


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.audit", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these faults (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (2)")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(FAULTS))
    if unknown:
        parser.error(f"no fault is named {', '.join(unknown)}; tests/mutations/ has their names")
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: must be 1 or more")
    return options


@contextmanager
def _stopping(runner: Runner, jobs: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads that leaves nothing running, whatever ends it."""
    pool = ThreadPoolExecutor(jobs)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        runner.stop()
        raise
    finally:
        pool.shutdown()


def _check_green(
    pool: ThreadPoolExecutor, runner: Runner, faults: Iterable[Fault], folder: Path
) -> None:
    """Raises `Untrusted` where a fault cannot be put in, or a check is not green without it."""
    try:
        for fault in faults:
            fault.seeded()
    except OutOfDate as error:
        raise Untrusted(str(error)) from None
    groups: dict[tuple[str, ...], dict[str, None]] = {}
    for fault in faults:
        groups.setdefault(fault.narrowed(), {}).update(dict.fromkeys(fault.checks))
    clean = folder / "clean"
    copy_with(None, clean)
    futures: dict[Future[Done], list[str]] = {}
    for i, (narrowed, checks) in enumerate(groups.items()):
        report = folder / f"clean-{i}.xml"
        run = pool.submit(runner.run, clean, (*checks, *narrowed), report, first=False, limit=1200)
        futures[run] = list(checks)
    for number, future in enumerate(as_completed(futures), start=1):
        _demand_green(future.result(), futures[future])
        print(f"[{number}/{len(groups)}] green without a fault", flush=True)


def _demand_green(done: Done, checks: Iterable[str]) -> None:
    bad = [f"{test}: {message}" for test, message in (*done.failed, *done.errors)]
    idle = [check for check in checks if check not in done.passed]
    if done.code != 0 or idle:
        what = bad or [f"{check}: no test ran" for check in idle] or [f"exit code {done.code}"]
        raise Untrusted(f"not green without a fault, so a red one would prove nothing: {what[0]}")


def _seed(
    pool: ThreadPoolExecutor, runner: Runner, faults: Sequence[Fault], folder: Path
) -> dict[str, Verdict]:
    futures = {pool.submit(_tried, runner, fault, folder): fault for fault in faults}
    verdicts = {}
    for number, future in enumerate(as_completed(futures), start=1):
        fault, verdict = futures[future], future.result()
        verdicts[fault.name] = verdict
        about = f"{verdict.test} said: {verdict.said}"[:200] if verdict.said else ""
        print(f"[{number}/{len(faults)}] {verdict.outcome}: {fault.name}  {about}", flush=True)
    return {fault.name: verdicts[fault.name] for fault in faults}


def _tried(runner: Runner, fault: Fault, folder: Path) -> Verdict:
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as copy:
        copy_with(fault, Path(copy))
        return judge(fault, runner.run(Path(copy), fault.arguments(), Path(copy) / "report.xml"))


def _write(caught_by: dict[str, str]) -> None:
    """The page, if every fault has a row: of this run, or of one before with the same versions."""
    old = PAGE.read_text() if PAGE.exists() else ""
    known = (rows_of(old) if _versions() in old else {}) | caught_by
    lacking = [name for name in FAULTS if name not in known]
    if lacking:
        print(f"not written: {PAGE.name} would lack {len(lacking)} faults; run: make audit")
    else:
        PAGE.write_text(page({name: known[name] for name in FAULTS}))
        print(f"written: {PAGE}")


def rows_of(text: str) -> dict[str, str]:
    """Fault → the check that caught it, of a page."""
    return {name: f"{file}::{test}" for name, test, file in ROW.findall(text)}


def _versions() -> str:
    return ", ".join(f"{name} {version(name).partition('+')[0]}" for name in FRAMEWORKS)


def page(caught_by: dict[str, str]) -> str:
    """The audit as Markdown: the same for the same faults, checks and versions."""
    parts = [HEAD.format(count=len(caught_by), versions=_versions())]
    for area, faults in AREAS.items():
        rows = (row(fault, caught_by[fault.name]) for fault in faults)
        parts.append(AREA.format(area=area) + "\n".join(rows) + "\n")
    return "".join(parts)


def row(fault: Fault, test: str) -> str:
    """A fault as a row of its table."""
    file, _, function = test.partition("::")
    where = f"[{fault.file}](../{fault.file})"
    return f"| `{fault.name}` | {where} | {fault.imitates} | [{function}](../{file}) |"


if __name__ == "__main__":
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # all end as Ctrl-C does
        signal.signal(ending, signal.default_int_handler)
    sys.exit(main())
