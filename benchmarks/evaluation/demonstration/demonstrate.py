"""Demonstrate the verdicts of `regress` on known changes (``make demonstration``).

``replay`` decides comparisons drawn from the recorded traces of the trial, all of unchanged code.
``live`` measures real sessions: some with an edited comment, some with the faults of `faults.py`.
``upgrade`` compares two environments, one with an older release of jax. Results that exist already
are not measured again. ``page`` writes docs/regress-trial.md from all results.
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
from benchmarks.evaluation.demonstration.faults import COMMENT, FAULTS, Fault, insert_faults
from benchmarks.evaluation.trial import machines, plan, replay, traces
from benchmarks.evaluation.trial.plan import SUBJECTS
from benchmarks.evaluation.trial.tuning import Constants
from benchmarks.paths import ROOT
from results.statistics import launch_pairs
from results.statistics.launch_pairs import Design
from results.statistics.verdict import FASTER, SLOWER

OUT = ROOT / "results" / "reference" / "demonstration"
PAGE = ROOT / "docs" / "regress-trial.md"
PARTS = ("replay", "live", "upgrade", "page")
RUNS, BUDGET = 5, "10m"
KINDS: dict[str, tuple[Fault, ...]] = {"unchanged": (COMMENT,), "faulty": FAULTS}
SLOWED = (0.03, 0.05, 0.10)


def main() -> int:
    """Run the parts named on the command line and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument(
        "--traces",
        default=str(plan.FOLDER),
        help="folder of folders recorded by python -m benchmarks.evaluation.trial",
    )
    parser.add_argument("--out", default=str(OUT), help="folder of results")
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
        folders = machines.recorded(Path(options.traces))
        if not folders:
            parser.error(f"no traces of a machine below {options.traces}; record them: make trial")
        replayed = {machines.in_words(folder): replay_comparisons(folder) for folder in folders}
        (out / "replay.json").write_text(json.dumps(replayed, indent=1) + "\n")
    if "live" in options.parts:
        for index in range(options.runs):
            for kind, faults in KINDS.items():
                measure_faults(out / f"{kind}-{index}.json", faults, options.budget)
    if "upgrade" in options.parts:
        measure_upgrade(out / "upgrade-0.json", options.budget)
    if "page" in options.parts:
        PAGE.write_text(page.page(out))
        print(PAGE)
    return 0


def replay_comparisons(folder: Path) -> dict[str, Any]:
    """Draw comparisons of unchanged code from recorded traces, and decide them as `regress` does.

    Args:
        folder: of one machine's traces.

    Returns:
        For each condition of the machine the number of false alarms, and under ``found`` how often
        slowdowns are found.
    """
    recorded = traces.load_all(folder)
    saved = json.loads((folder / "replay.json").read_text())["constants"]
    constants = {metric: Constants(**saved[metric]) for metric in plan.METRICS}
    conditions = {}
    for place, condition in enumerate(plan.CONDITIONS):
        sets = replay.select_sets(recorded, "report", condition)
        ours = replay.OurSessions.from_sets(sets, constants, launch_pairs.LOOKS[-1])
        conditions[condition] = {
            "sets": len(sets),
            **_alarms(ours, place),
            "found": _power(ours, place),
        }
    return conditions


def comparison_design() -> Design:
    """Return the design of a comparison of `SUBJECTS`.

    The shift of each framework is tested too, for each metric.
    """
    owners = [(metric, subject.framework) for metric in plan.METRICS for subject in SUBJECTS]
    names = list(dict.fromkeys(owners))
    return Design(tuple(names.index(one) for one in owners), launch_pairs.LOOKS, control="row")


def _decide(d: Any, control: Any) -> Any:
    """Return the verdicts of simulated sessions, with the rows of both metrics one after the other.

    Args:
        d: metric → log ratios of head to base [sessions, cells, pairs].
        control: metric → log ratios of the control to base, of the same shape.
    """
    both = [np.concatenate([part[m] for m in plan.METRICS], axis=-2) for part in (d, control)]
    return launch_pairs.decide(both[0], both[1], comparison_design())


def _alarms(ours: replay.OurSessions, place: int) -> dict[str, Any]:
    """Return how many of the sessions drawn from unchanged code raise an alarm.

    Args:
        ours: draws sessions from the traces.
        place: number of the condition, which seeds the drawing.
    """
    session = _decide(*ours.draw(plan.TRIALS, [plan.SEED, 70, place]))
    slower, faster = session.verdicts == SLOWER, session.verdicts == FASTER
    cells = 2 * len(SUBJECTS)
    return {
        "comparisons": len(slower),
        "alarms": int((slower | faster).any(axis=-1).sum()),
        "regressions": int(slower.any(axis=-1).sum()),
        "shifts": int((slower | faster)[:, cells:].any(axis=-1).sum()),
        "pairs": float(session.pairs.mean()),
    }


def _power(ours: replay.OurSessions, place: int) -> dict[str, Any]:
    """Return how often a slowed cell, and a slowed framework, is found.

    Args:
        ours: draws sessions from the traces.
        place: number of the condition, which seeds the drawing.

    Returns:
        Slowdown → ``cells``, the share of sessions that find it, for each cell; and ``everything``,
        the share that finds it in all cells of torch.
    """
    by_fraction = {}
    torch = [i for i, subject in enumerate(SUBJECTS) if subject.framework == "torch"]
    for fraction in SLOWED:
        rates, count = [], plan.TRIALS // 4
        for cell in range(len(SUBJECTS)):
            d, control = ours.draw(count, [plan.SEED, 71, place, cell])
            session = _decide(replay.slow_down(d, [cell], fraction), control)
            slower = replay.calls_slower(session, cell, len(plan.METRICS))
            rates.append(float(slower.mean()))
        d, control = ours.draw(count, [plan.SEED, 72, place])
        session = _decide(replay.slow_down(d, torch, fraction), control)
        rows = [2 * len(SUBJECTS) + i for i in (0, 2)]  # the shifts of torch, wall and CPU
        shifted = (session.verdicts[:, rows] == SLOWER).any(axis=-1)
        by_fraction[str(fraction)] = {"cells": rates, "everything": float(shifted.mean())}
    return by_fraction


def measure_faults(path: Path, faults: tuple[Fault, ...], budget: str) -> None:
    """Measure one session of the real command on a clone whose work tree has these faults.

    Args:
        path: where to save the result; a result that exists already is kept.
        faults: changes of the source text.
        budget: of the session, such as ``10m``.
    """
    if path.exists():
        print(f"{path.stem}: there already")
        return
    with tempfile.TemporaryDirectory(prefix="cascade-bench-demonstration-") as temporary:
        clone = Path(temporary) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        insert_faults(faults, clone)
        _run_regress(path, ["HEAD", f"--budget={budget}"], clone, temporary)


def measure_upgrade(path: Path, budget: str) -> None:
    """Measure one session of the real command whose BASE has an older release of a framework.

    Args:
        path: where to save the result; a result that exists already is kept.
        budget: of the session, such as ``10m``.
    """
    if path.exists():
        print(f"{path.stem}: there already")
        return
    with tempfile.TemporaryDirectory(prefix="cascade-bench-demonstration-") as temporary:
        python = releases.environment(Path(temporary) / "older")
        _run_regress(path, [f"--base-python={python}", f"--budget={budget}"], ROOT, temporary)


def _run_regress(path: Path, arguments: list[str], folder: Path, temporary: str) -> None:
    """Run `regress` in a folder and save its JSON result at ``path``.

    Paths under ``temporary`` are made relative, as that folder is removed afterwards.
    """
    partial = Path(f"{path}.partial")
    command = [sys.executable, "-m", "benchmarks.cli", "regress", *arguments]
    command += [f"--json={partial}", f"--results={temporary}/comparisons"]
    start = time.monotonic()
    code = subprocess.run(command, cwd=folder, check=False).returncode
    minutes = (time.monotonic() - start) / 60
    print(f"{path.stem}: exit code {code}, {minutes:.1f} min", flush=True)
    if partial.exists():
        result = json.loads(partial.read_text().replace(f"{temporary}/", ""))
        path.write_text(json.dumps(result | {"code": code, "minutes": minutes}, indent=1) + "\n")
        partial.unlink()


if __name__ == "__main__":
    sys.exit(main())
