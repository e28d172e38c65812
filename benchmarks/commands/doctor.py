"""``cascade-bench doctor``: describe this machine, what disturbs timing on it, and its noise."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from typing import Any

from packaging.requirements import Requirement

from benchmarks.commands import options as shared
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.measurement import aa_comparison
from benchmarks.harness.selection.options import SelectionError, check_positive, default_device
from benchmarks.machine import activity, disturbances, environment, graphics, releases
from benchmarks.machine.disturbances import OK, UNKNOWN, WARNING, Finding
from benchmarks.machine.frameworks import NEEDED
from benchmarks.machine.host import Host
from benchmarks.scenarios import FRAMEWORKS
from results.records.installing import install_command
from results.records.record import plain

NAME = "cascade-bench"
LOOK_SECONDS = 1.0  # between two readings of the CPU time that each process has used
LAUNCHES = 6
INTERRUPTED = 130  # the exit code that a shell gives to Ctrl-C


def add_command(commands: Any) -> None:
    """Add ``doctor`` to the commands of `cascade-bench`."""
    parser = commands.add_parser(
        "doctor",
        help="what this machine is, and how noisy just now",
        description="Describe this machine, what disturbs timing on it, and measure its noise.",
        examples=("cascade-bench doctor", "cascade-bench doctor --seconds 5 --json"),
        exit_codes="exit codes: 0 whatever is found, 2 a mistake in the options, 130 Ctrl-C",
    )
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="how long the noise is measured (default: 20)"
    )
    shared.add_json(parser, "print one JSON object instead of the text")
    shared.add_device(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Examine the machine, measure its noise and print both.

    Returns:
        0, whatever the findings are; 130 if Ctrl-C ended the measurement.

    Raises:
        SelectionError: the time is not above 0, or there is no GPU for ``--device cuda``.
    """
    from benchmarks.commands.doctor_output import Page

    check_positive("seconds", options.seconds)
    device = options.device or default_device()
    if device == "cuda" and default_device() != "cuda":
        raise SelectionError("--device 'cuda': no GPU is to be seen; use --device cpu")
    host, page = Host(), Page(quiet=options.json)
    try:
        report = examine(host)
        page.print_machine(report)
        _measure_noise(host, report, device, options.seconds, page)
    except KeyboardInterrupt:
        print(f"{NAME}: stopped before the noise was measured", file=sys.stderr)
        return INTERRUPTED
    page.print_noise(report)
    if options.json:
        print(json.dumps(plain(report), indent=2))
    return 0


def examine(host: Host) -> dict[str, Any]:
    """Return the report of all that is known without measuring; the noise is still empty.

    Returns:
        ``machine``; ``frameworks``, whether their releases were tested; ``findings``, which say
        what disturbs timing here, see `benchmarks.machine.disturbances`; and the keys that
        `_measure_noise` fills in.
    """
    machine, gpus = environment.describe(host), graphics.gpus(host)
    busy, sessions = _other_activity(host)
    findings = [
        *disturbances.check_machine(machine),
        disturbances.check_processes(busy),
        disturbances.check_sessions(sessions),
        *disturbances.check_gpus(gpus),
    ]
    return {
        "machine": machine,
        "frameworks": [asdict(one) for name in FRAMEWORKS for one in check_packages(name)],
        "findings": [asdict(one) for one in findings],
        "noise": [],
        "while_measuring": [],
        "margin": None,
        "missing": {"margin": "nothing has been measured"},
    }


def _other_activity(
    host: Host,
) -> tuple[list[tuple[activity.Process, float]] | None, dict[int, int] | None]:
    """Return the busiest other processes, and the other sessions of this suite.

    Both are None where processes cannot be listed.

    Returns:
        (process, number of CPUs that it keeps busy), busiest first; and process id → number of
        workers.
    """
    before, start = activity.processes(host), time.monotonic()
    if before is None:
        return None, None
    time.sleep(LOOK_SECONDS)
    after = activity.processes(host) or {}
    elapsed = time.monotonic() - start
    own = os.getpid()
    return activity.busiest(before, after, elapsed, own), activity.other_sessions(after, own)


def check_packages(framework: str) -> list[Finding]:
    """Return for each package of a framework whether a version that was tested is installed."""
    ranges = releases.tested_ranges()
    return [
        _check_package(package, framework, ranges.get(package)) for package in NEEDED[framework]
    ]


def _check_package(package: str, framework: str, tested: Requirement | None) -> Finding:
    """Return whether the suite was tested with the installed version of one package.

    Args:
        package: name of the package.
        framework: that needs it, for the advice.
        tested: range of versions; None if this suite itself is not installed.
    """
    version = environment.installed(package)
    advice = install_command(framework)
    if version is None:
        return Finding(package, WARNING, "not installed", advice)
    if tested is None:
        return Finding(package, UNKNOWN, f"{version}; {NAME} itself is not installed", advice)
    versions = releases.in_words(tested)
    if releases.is_tested(version, tested):
        return Finding(package, OK, f"{version} (tested: {versions})")
    return Finding(package, WARNING, f"{version}, not tested ({versions}); it may work", advice)


def present_frameworks() -> list[str]:
    """Return the frameworks that have all their packages installed."""
    return [name for name in FRAMEWORKS if all(map(environment.installed, NEEDED[name]))]


def _measure_noise(
    host: Host, report: dict[str, Any], device: str, seconds: float, page: Any
) -> None:
    """Compare copies of one strategy in every installed framework, and complete the report.

    Args:
        host: the machine, whose counters are read before and after.
        report: gets ``noise``, ``while_measuring`` and ``margin``.
        device: ``cpu`` or ``cuda``.
        seconds: of sampling in all.
        page: shows progress.
    """
    frameworks = present_frameworks()
    if not frameworks:
        report["missing"]["margin"] = "no framework is installed, so nothing can be measured"
        return
    before = activity.counters(host)
    with Pool() as pool:
        noise = aa_comparison.compare(
            frameworks,
            pool,
            device=device,
            seconds=seconds,
            launches=LAUNCHES,
            at=page.print_progress,
        )
        report["noise"] = list(noise)
    grown = activity.difference(before, activity.counters(host))
    report["while_measuring"] = [asdict(one) for one in disturbances.check_counters(grown)]
    _set_margin(report)


def _set_margin(report: dict[str, Any]) -> None:
    """Write into the report within which margin two times count as equal on this machine.

    The margin follows from the measured noise; without any, the reason is written.
    """
    from results.statistics import noise

    sds = [one["sd"] for one in report["noise"] if one["sd"] is not None]
    if sds:
        report["margin"] = noise.margin(sds)
        report["missing"].pop("margin")
    else:
        report["missing"]["margin"] = "no cell could be timed"
