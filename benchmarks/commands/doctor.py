"""``cascade-bench doctor``: what this machine is, what disturbs measuring, how noisy it is."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import time
from dataclasses import asdict
from typing import Any

from packaging.requirements import Requirement

from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.measurement import aa_comparison
from benchmarks.harness.selection import options as selection
from benchmarks.machine import activity, disturbances, environment, graphics
from benchmarks.machine.disturbances import OK, UNKNOWN, WARNING, Finding
from benchmarks.machine.host import Host
from benchmarks.scenarios import FRAMEWORKS
from results.records.record import plain

NAME = "cascade-bench"
NEEDED = {"torch": ("torch",), "jax": ("jax", "flax", "optax")}
LOOK_SECONDS = 1.0  # over which it is seen who keeps the CPUs busy
LAUNCHES = 6
INTERRUPTED = 130  # what a shell makes of Ctrl-C


def add_command(commands: Any) -> None:
    """``doctor`` among the commands of the command line."""
    parser = commands.add_parser("doctor", help="what this machine is, and how noisy just now")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="of timing, after the workers' start (20)"
    )
    parser.add_argument("--json", action="store_true", help="one object")
    parser.add_argument("--device", default=None, choices=selection.DEVICES)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look, measure and say so. 0 whatever was found; raises `SelectionError` for bad options."""
    from benchmarks.commands.doctor_output import Page

    selection.check_positive("seconds", options.seconds)
    device = options.device or selection.default_device()
    if device == "cuda" and selection.default_device() != "cuda":
        raise selection.SelectionError("--device 'cuda': no GPU is to be seen; use --device cpu")
    host, page = Host(), Page(quiet=options.json)
    try:
        report = examine(host)
        page.before(report)
        _measure(host, report, device, options.seconds, page)
    except KeyboardInterrupt:
        print(f"{NAME}: stopped before the noise was measured", file=sys.stderr)
        return INTERRUPTED
    page.after(report)
    if options.json:
        print(json.dumps(plain(report), indent=2))
    return 0


def examine(host: Host) -> dict[str, Any]:
    """Everything that is known without measuring: machine, frameworks, and what disturbs."""
    machine, gpus = environment.describe(host), graphics.gpus(host)
    busy, sessions = _others(host)
    found = [
        *disturbances.of_machine(machine),
        disturbances.of_processes(busy),
        disturbances.of_sessions(sessions),
        *disturbances.of_gpus(gpus),
    ]
    return {
        "machine": machine,
        "frameworks": [asdict(one) for name in FRAMEWORKS for one in supported(name)],
        "findings": [asdict(one) for one in found],
        "noise": [],
        "while_measuring": [],
        "margin": None,
        "missing": {"margin": "nothing has been measured"},
    }


def _others(
    host: Host,
) -> tuple[list[tuple[activity.Process, float]] | None, dict[int, int] | None]:
    """Who else keeps the CPUs busy, looked at twice, and which other sessions there are."""
    before, start = activity.processes(host), time.monotonic()
    if before is None:
        return None, None
    time.sleep(LOOK_SECONDS)
    after = activity.processes(host) or {}
    elapsed = time.monotonic() - start
    own = os.getpid()
    return activity.busiest(before, after, elapsed, own), activity.other_sessions(after, own)


def supported(framework: str) -> list[Finding]:
    """Whether the packages of a framework are installed, in versions that we support."""
    ranges = _ranges()
    return [_supported(package, framework, ranges.get(package)) for package in NEEDED[framework]]


def _supported(package: str, framework: str, wanted: Requirement | None) -> Finding:
    version = environment.installed(package)
    advice = f"pip install -c constraints.txt -e '.[{framework}]'"
    if version is None:
        return Finding(package, WARNING, "not installed", advice)
    if wanted is None:
        return Finding(package, UNKNOWN, f"{version}; {NAME} itself is not installed", advice)
    told = ",".join(sorted(map(str, wanted.specifier), reverse=True))
    if wanted.specifier.contains(version, prereleases=True):
        return Finding(package, OK, f"{version} (supported: {told})")
    return Finding(package, WARNING, f"{version}, not supported ({told})", advice)


def _ranges() -> dict[str, Requirement]:
    """What our own package asks for; where it is not installed nobody says."""
    try:
        lines = importlib.metadata.requires(NAME) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    wanted = (Requirement(line) for line in lines)
    return {one.name: one for one in wanted if one.specifier}


def present() -> list[str]:
    """The frameworks of which every package is installed."""
    return [name for name in FRAMEWORKS if all(map(environment.installed, NEEDED[name]))]


def _measure(host: Host, report: dict[str, Any], device: str, seconds: float, page: Any) -> None:
    """The unchanged comparison of every framework that is there, into the report."""
    frameworks = present()
    if not frameworks:
        report["missing"]["margin"] = "no framework is installed, so nothing can be measured"
        return
    before = activity.counters(host)
    with Pool() as pool:
        compared = aa_comparison.compare(
            frameworks, pool, device=device, seconds=seconds, launches=LAUNCHES, at=page.at
        )
        report["noise"] = list(compared)
    grown = activity.difference(before, activity.counters(host))
    report["while_measuring"] = [asdict(one) for one in disturbances.while_measuring(grown)]
    _conclude(report)


def _conclude(report: dict[str, Any]) -> None:
    from results.statistics import noise

    sds = [one["sd"] for one in report["noise"] if one["sd"] is not None]
    if sds:
        report["margin"] = noise.margin(sds)
        report["missing"].pop("margin")
    else:
        report["missing"]["margin"] = "no cell could be timed"
