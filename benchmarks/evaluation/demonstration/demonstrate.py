"""Show what `regress` says of changes that are known (``make demonstration``).

``replay`` decides over the recorded traces of the trial, which are of unchanged code; ``live``
measures: a comment edited, and the faults of `faults.py` slipped in, some sessions of each;
``upgrade`` compares two environments, with an older release of jax and with this one. What is there
already is not measured again. ``page`` writes docs/regress-trial.md of all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluation.demonstration import page, releases
from benchmarks.evaluation.demonstration.faults import COMMENT, FAULTS, Fault, slip_in
from benchmarks.evaluation.trial import plan, replay, traces
from benchmarks.evaluation.trial.plan import SUBJECTS
from benchmarks.evaluation.trial.tuning import Constants
from benchmarks.paths import ROOT
from results.statistics import launch_pairs
from results.statistics.launch_pairs import Design
from results.statistics.verdict import FASTER, SLOWER

OUT = ROOT / "results" / "reference" / "demonstration"
TRACES = ROOT / "results" / "reference" / "trial"
PAGE = ROOT / "docs" / "regress-trial.md"
PARTS = ("replay", "live", "upgrade", "page")
RUNS, BUDGET = 5, "10m"
KINDS: dict[str, tuple[Fault, ...]] = {"unchanged": (COMMENT,), "faulty": FAULTS}
SLOWED = (0.03, 0.05, 0.10)


def main() -> int:
    """Run the parts asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument(
        "--traces", default=str(TRACES), help="recorded by python -m benchmarks.evaluation.trial"
    )
    parser.add_argument("--out", default=str(OUT), help="folder of what was found")
    parser.add_argument(
        "--runs", type=int, default=RUNS, help=f"live sessions of each kind ({RUNS})"
    )
    parser.add_argument("--budget", default=BUDGET, help=f"of a live session ({BUDGET})")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: the parts are {', '.join(PARTS)}")
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    if "replay" in options.parts:
        found = replayed(Path(options.traces))
        (out / "replay.json").write_text(json.dumps(found, indent=1) + "\n")
    if "live" in options.parts:
        for index in range(options.runs):
            for kind, faults in KINDS.items():
                live(out / f"{kind}-{index}.json", faults, options.budget)
    if "upgrade" in options.parts:
        upgrade(out / "upgrade-0.json", options.budget)
    if "page" in options.parts:
        PAGE.write_text(page.page(out))
        print(PAGE)
    return 0


def replayed(folder: Path) -> dict[str, Any]:
    """Alarms over unchanged code, and slowdowns found, by condition."""
    kept = traces.load_all(folder)
    told = json.loads((folder / "replay.json").read_text())["constants"]
    constants = {metric: Constants(**told[metric]) for metric in plan.METRICS}
    found = {}
    for place, condition in enumerate(plan.CONDITIONS):
        sets = replay.chosen(kept, "report", condition)
        ours = replay.Ours.of(sets, constants, launch_pairs.LOOKS[-1])
        found[condition] = {"sets": len(sets), **_alarms(ours, place), "found": _power(ours, place)}
    return found


def design() -> Design:
    """As `results.regression`: what a framework's cells share is one group a metric."""
    owners = [(metric, subject.framework) for metric in plan.METRICS for subject in SUBJECTS]
    names = list(dict.fromkeys(owners))
    return Design(tuple(names.index(one) for one in owners), launch_pairs.LOOKS, control="row")


def _decided(d: Any, control: Any) -> Any:
    both = [np.concatenate([part[m] for m in plan.METRICS], axis=-2) for part in (d, control)]
    return launch_pairs.decide(both[0], both[1], design())


def _alarms(ours: replay.Ours, place: int) -> dict[str, Any]:
    session = _decided(*ours.draw(plan.TRIALS, [plan.SEED, 70, place]))
    slower, faster = session.verdicts == SLOWER, session.verdicts == FASTER
    cells = 2 * len(SUBJECTS)
    return {
        "comparisons": len(slower),
        "alarms": int((slower | faster).any(axis=-1).sum()),
        "regressions": int(slower.any(axis=-1).sum()),
        "shifts": int((slower | faster)[:, cells:].any(axis=-1).sum()),
        "pairs": float(session.pairs.mean()),
    }


def _power(ours: replay.Ours, place: int) -> dict[str, Any]:
    """How often one slowed cell is found, the mean over cells, and every torch cell slowed."""
    found = {}
    torch = [i for i, subject in enumerate(SUBJECTS) if subject.framework == "torch"]
    for fraction in SLOWED:
        times, count = [], plan.TRIALS // 4
        for cell in range(len(SUBJECTS)):
            d, control = ours.draw(count, [plan.SEED, 71, place, cell])
            session = _decided(replay.slowed(d, [cell], fraction), control)
            said = replay.calls_slower(session, cell, len(plan.METRICS))
            times.append(float(said.mean()))
        d, control = ours.draw(count, [plan.SEED, 72, place])
        session = _decided(replay.slowed(d, torch, fraction), control)
        rows = [2 * len(SUBJECTS) + i for i in (0, 2)]  # wall and CPU of torch; see `design`
        shifted = (session.verdicts[:, rows] == SLOWER).any(axis=-1)
        found[str(fraction)] = {"cells": times, "everything": float(shifted.mean())}
    return found


def live(path: Path, faults: tuple[Fault, ...], budget: str) -> None:
    """One session of the real command, on a clone with its work tree changed."""
    if path.exists():
        print(f"{path.stem}: there already")
        return
    with tempfile.TemporaryDirectory(prefix="cascade-bench-demonstration-") as kept:
        clone = Path(kept) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        slip_in(faults, clone)
        _session(path, ["HEAD", f"--budget={budget}"], clone, kept)


def upgrade(path: Path, budget: str) -> None:
    """One session of the real command, with another release of a framework for BASE."""
    if path.exists():
        print(f"{path.stem}: there already")
        return
    with tempfile.TemporaryDirectory(prefix="cascade-bench-demonstration-") as kept:
        python = releases.environment(Path(kept) / "older")
        _session(path, [f"--base-python={python}", f"--budget={budget}"], ROOT, kept)


def _session(path: Path, asked: list[str], folder: Path, kept: str) -> None:
    """Run `regress` in the folder, and keep what it told; paths under ``kept`` are gone after."""
    partial = Path(f"{path}.partial")
    command = [sys.executable, "-m", "benchmarks.cli", "regress", *asked]
    command += [f"--json={partial}", f"--results={kept}/kept"]
    start = time.monotonic()
    code = subprocess.run(command, cwd=folder, check=False).returncode
    minutes = (time.monotonic() - start) / 60
    print(f"{path.stem}: exit code {code}, {minutes:.1f} min", flush=True)
    if partial.exists():
        told = json.loads(partial.read_text().replace(f"{kept}/", ""))
        path.write_text(json.dumps(told | {"code": code, "minutes": minutes}, indent=1) + "\n")
        partial.unlink()


if __name__ == "__main__":
    sys.exit(main())
