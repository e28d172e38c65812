"""Write ``docs/releases.md``: what was seen in each environment of the matrix, as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.evaluation.releases.checking import SCENARIOS
from benchmarks.evaluation.releases.environments import ENVIRONMENTS
from benchmarks.paths import ROOT

PAGE, RESULTS_FILE = ROOT / "docs" / "releases.md", ROOT / "docs" / "releases" / "seen.json"
HEAD = """\
# Releases

With which releases of torch, JAX and Python this suite was seen to work. `make matrix` makes an
environment for each line, runs the same checks in each, and writes this page; `make matrix
ARGS=torch-2.14` tries one anew, `ARGS=--list` shows them all.

In each environment run: the checks of {scenarios}
in the fast tier (references, every strategy, every recipe, trainings) and the quick
[traps](traps.md); the traps of whole kinds, as of every optimizer, schedule and module that the
release has, where both frameworks are (a dash: not run); a small benchmark; and an example of a
user's own code, by `cascade-bench try`. All on a CPU. An environment that `ARGS=--list` names and
this table does not has not been tried.

With a release outside the ranges of `pyproject.toml` the suite runs all the same, and says in one
line that nobody has seen it with that release; `cascade-bench doctor` lists what is installed.

| environment | Python | torch | jax | flax | optax | checks | kinds | times | own code | seen |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
FAILED = """
## What failed, and why

{lines}
"""
BEHAVIOUR = """
## Where releases differ

A test of a trap that reads otherwise in another release declares both readings:

- **jax 0.11**: a call on a donated array says "Array has been deleted with shape=…"; in 0.10 it was
  "Buffer has been deleted or donated". Both are a RuntimeError.
- **flax 0.12.11**: the scales of `nnx.WeightNorm` are parameters, which a step over `nnx.Param`
  trains; before, they stay at their start.

And one of counts holds in both:

- **jax 0.12**: XLA counts more of what an optimizer does by element. Checks ask for whole products.

What only some releases have is declared with those that have it (`benchmarks/test_whole_kinds.py`):

- **torch 2.14**: `torch.autograd.graph.node_creation_hook`, which hands over each new node.
- **jax 0.11**: `jax.custom_remat`, which 0.12 has no more.
- **flax 0.12.5**: `nnx.jit_partial`.
"""
COLUMNS = ("python", "torch", "jax", "flax", "optax")

Results = dict[str, dict[str, Any]]  # name of an environment → what `matrix.attempt` returned


def read(path: Path = RESULTS_FILE) -> Results:
    """Return what was seen so far, by the name of the environment; empty if there is no file."""
    results: Results = json.loads(path.read_text()) if path.exists() else {}
    return results


def write(results: Results) -> None:
    """Write what was seen, and the page."""
    RESULTS_FILE.parent.mkdir(exist_ok=True)
    RESULTS_FILE.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(text(results))


def text(results: Results) -> str:
    """Return the page as Markdown: a row for each environment, then what failed."""
    head = HEAD.format(scenarios=SCENARIOS.replace(",", ", "))
    order = [one.name for one in ENVIRONMENTS if one.name in results]
    rows = "".join(_row(name, results[name]) + "\n" for name in order)
    lines = [line for name in order for line in _failures(name, results[name])]
    failed = FAILED.format(lines="\n".join(lines)) if lines else ""
    return head + rows + failed + BEHAVIOUR


def passed(result: dict[str, Any]) -> bool:
    """Return whether an environment was made, and every step in it ended well."""
    return bool(result.get("steps")) and all(step["code"] == 0 for step in result["steps"].values())


def outcome(result: dict[str, Any]) -> str:
    """Return in words what came of an environment: passed, failed and where, or not seen."""
    if "missing" in result:
        return f"not seen: {result['missing']}"
    failed = [name for name, step in result["steps"].items() if step["code"] != 0]
    return f"failed: {', '.join(failed)}" if failed else "passed"


def _row(name: str, result: dict[str, Any]) -> str:
    """Return an environment's row of the table."""
    versions = result.get("versions", {})
    cells = [name, *(_short(versions.get(column)) for column in COLUMNS)]
    if "missing" in result:
        cells += ["not seen"] * 4
    else:
        steps = result["steps"]
        tries = [step for key, step in steps.items() if key.startswith("own code")]
        cells += [_step(steps.get(name)) for name in ("checks", "traps", "times")]
        cells.append("passed" if tries and all(s["code"] == 0 for s in tries) else _ends(tries))
        if "says so" in steps:
            says_so = steps["says so"]["code"] == 0
            cells[-4:] = ["says what to install" if says_so else "**failed**", "–", "–", "–"]
    return f"| {' | '.join([*cells, result['when']])} |"


def _step(step: dict[str, Any] | None) -> str:
    """Return how many tests of a step passed, and how many failed."""
    if step is None:
        return "–"
    if "passed" not in step:
        return "**did not start**"
    failed = f", **{step['failed']} failed**" if step["failed"] else ""
    return f"{step['passed']} passed{failed}"


def _ends(steps: list[dict[str, Any]]) -> str:
    """Return how steps that did not all end well ended."""
    return "**failed**" if steps else "–"


def _failures(name: str, environment: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each thing that failed in an environment, or why it was not made."""
    if "missing" in environment:
        yield f"- {name}: not seen, {environment['missing']}"
    for step, result in environment.get("steps", {}).items():
        for test, reason in result["reasons"].items():
            yield f"- {name}, {step}: `{test}`: {reason}"


def _short(version: str | None) -> str:
    """Return a version without what follows a plus sign; a dash where there is none."""
    return version.partition("+")[0] if version else "–"
