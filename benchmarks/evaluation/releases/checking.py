"""Run the core checks, a small benchmark and a case of a user's own in one environment."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from benchmarks.evaluation.releases.environments import Environment
from benchmarks.evaluation.traps_page import PAGES
from benchmarks.paths import ROOT

STEP_SECONDS = 1800.0  # after which a step is stopped
# of each family one: references, every strategy, every recipe, a training; traps
SCENARIOS = "linear_cascade,gan,frozen_second_network,frozen_prefix"
CHECKS = ["benchmarks", "--benchmark-skip", "-m", "not slow", f"--scenario={SCENARIOS}"]
# those that the fast tier leaves out: of whole kinds, such as every optimizer of a release
TRAPS = [file for shown in PAGES for file in shown.tests]
TRAPS += ["--benchmark-skip", "-m", "slow"]
TIMES = ["benchmarks", "--benchmark-only", "--size=seed", "--launches=2"]
TIMES += ["--scenario=linear_cascade,frozen_in_constructor"]
OWN_CODE = "examples/{framework}_two_networks.py"
NO_FRAMEWORK = 4  # pytest's exit code for what cannot be done
REASON_LENGTH = 160


def check(environment: Environment, python: Path) -> dict[str, Any]:
    """Run every step in the environment.

    Returns:
        ``versions``, package → version; and ``steps``, name → what `_pytest` returns.
    """
    steps: dict[str, Any] = {}
    if environment.frameworks:
        steps["checks"] = _pytest(python, CHECKS)
        if len(environment.frameworks) == 2:  # each holds the two beside each other
            steps["traps"] = _pytest(python, TRAPS)
        steps["times"] = _pytest(python, TIMES)
        for framework in environment.frameworks:
            steps[f"own code, {framework}"] = _own_code(python, framework)
    else:
        steps["says so"] = _says_so(python)
    return {"versions": versions(python), "steps": steps}


def versions(python: Path) -> dict[str, str]:
    """Return the versions of Python and of each framework's packages in an environment."""
    code = (
        "import importlib.metadata as m, json, platform\n"
        "names = 'torch', 'jax', 'jaxlib', 'flax', 'optax', 'numpy'\n"
        "have = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n"
        "installed = {n: have[n] for n in names if n in have}\n"
        "print(json.dumps({'python': platform.python_version(), **installed}))"
    )
    process = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    installed: dict[str, str] = json.loads(process.stdout)
    return installed


def failures(junit: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Return how many tests passed, failed and were skipped, and test → why it failed.

    Args:
        junit: the file that pytest's ``--junitxml`` wrote.
    """
    counts, failed = {"passed": 0, "failed": 0, "skipped": 0}, {}
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        kinds = {child.tag: child for child in case}
        wrong = kinds.get("failure", kinds.get("error"))
        if wrong is not None:
            counts["failed"] += 1
            failed[case.get("name", "")] = one_line(wrong.get("message", ""))
        else:
            counts["skipped" if "skipped" in kinds else "passed"] += 1
    return counts, failed


def one_line(text: str) -> str:
    """Return the first line of a message, cut to `REASON_LENGTH`."""
    first = (text.strip().splitlines() or ["no message"])[0]
    return first if len(first) <= REASON_LENGTH else first[: REASON_LENGTH - 1] + "…"


def _pytest(python: Path, arguments: list[str]) -> dict[str, Any]:
    """Run pytest in an environment.

    Returns:
        ``code``, its exit code; ``seconds``; ``passed``, ``failed``, ``skipped``, numbers of tests;
        and ``reasons``, failed test → why.
    """
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder) / "junit.xml"
        plain = ["-q", "-p", "no:cacheprovider", f"--junitxml={junit}"]
        if "--benchmark-only" in arguments:
            plain.append(f"--results={folder}/runs")
        result = _run(python, ["pytest", *arguments, *plain])
        if not junit.exists():
            return {**result, "reasons": {"pytest": one_line(result.pop("output"))}}
        counts, failed = failures(junit)
    result.pop("output")
    return {**result, **counts, "reasons": failed}


def _own_code(python: Path, framework: str) -> dict[str, Any]:
    """Try the example of a framework as a user would, by ``cascade-bench try``."""
    case = OWN_CODE.format(framework=framework)
    with tempfile.TemporaryDirectory() as folder:
        options = ["--budget=20", "--launches=2", f"--results={folder}"]
        result = _run(python, ["cascade_bench.cli", "try", case, *options])
    output = result.pop("output")
    return {**result, "reasons": {"try": one_line(output)} if result["code"] else {}}


def _says_so(python: Path) -> dict[str, Any]:
    """Ask for what needs a framework where there is none: the answer is one line."""
    result = _run(python, ["pytest", *TIMES, "-q", "-p", "no:cacheprovider"])
    output = result.pop("output")
    says_so = result["code"] == NO_FRAMEWORK and "no framework is installed here" in output
    return {
        **result,
        "code": 0 if says_so else 1,
        "reasons": {} if says_so else {"pytest": one_line(output)},
    }


def _run(python: Path, words: list[str]) -> dict[str, Any]:
    """Run a module in an environment.

    Returns:
        ``code``, the exit code, None if it was stopped after `STEP_SECONDS`; ``seconds``; and
        ``output``, what it wrote to stderr, or to stdout if that is empty.
    """
    start = time.monotonic()
    # as a user of that environment would be, whatever this process was started with
    plain = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    try:
        done = subprocess.run(
            [str(python), "-m", *words], cwd=ROOT, env=plain, capture_output=True, text=True,
            check=False, timeout=STEP_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {
            "code": None,
            "seconds": STEP_SECONDS,
            "output": f"stopped after {STEP_SECONDS:g} s",
        }
    seconds = round(time.monotonic() - start, 1)
    return {"code": done.returncode, "seconds": seconds, "output": done.stderr or done.stdout}
