"""Read the file of ``--cluster``: which engine, and what it needs. Unknown keys are refused."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cluster.errors import ClusterError
from benchmarks.paths import ROOT
from results.records.installing import install_command

BACKENDS = ("dask", "submitit", "local")
PAGE = "docs/cluster.md"
WAIT_SECONDS = 60.0  # for the first Dask worker

Rule = tuple[str, Callable[[Any], bool]]


def _text(value: Any) -> bool:
    """Return whether a value is a text that says something."""
    return isinstance(value, str) and bool(value.strip())


def _number(value: Any) -> bool:
    """Return whether a value is a number above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _texts(value: Any) -> bool:
    """Return whether a value maps texts to texts."""
    return isinstance(value, dict) and all(
        isinstance(item, str) for pair in value.items() for item in pair
    )


# key → what is allowed, in words, and whether a value is that
COMMON: dict[str, Rule] = {
    "backend": (f"one of {', '.join(BACKENDS)}", lambda value: value in BACKENDS),
    "folder": ("a path, of the suite on every node", _text),
    "python": ("a path, of the interpreter on every node", _text),
    "environment": ("names of variables with texts, for the nodes", _texts),
}
DASK: dict[str, Rule] = {
    "dask_address": ("an address, such as tcp://10.0.0.1:8786", _text),
    "dask_scheduler_file": ("a path, as given to `dask scheduler --scheduler-file`", _text),
    "dask_wait_seconds": ("a number of seconds above 0", _number),
}
SUBMITIT: dict[str, Rule] = {
    "submitit_cluster": ("slurm or local", lambda value: value in ("slurm", "local")),
    "submitit_folder": ("a path that every node sees", _text),
}
SLURM = "slurm_"  # begins every other key of the backend submitit
# keys of Slurm that are not the user's, and why
OURS = {
    "slurm_exclusive": "jobs are always exclusive: another job on the node would disturb the times",
    "slurm_job_name": "the jobs of a session are found by the name that it gives them",
    "slurm_array_parallelism": "Slurm itself decides how many nodes there are",
    "slurm_nodes": "a unit is measured on one node",
    "slurm_ntasks_per_node": "a unit is measured by one task",
    "slurm_tasks_per_node": "a unit is measured by one task",
    "slurm_exclude": "nodes that refuse are excluded as they are found; "
    "choose nodes by slurm_partition, slurm_constraint or slurm_nodelist",
}


@dataclass(frozen=True)
class ClusterSettings:
    """Hold what a cluster file says.

    Attributes:
        backend: one of `BACKENDS`.
        values: the other keys.
    """

    backend: str
    values: Mapping[str, Any]

    @property
    def place(self) -> dict[str, Any]:
        """Return where and how a node runs the suite, see `remote.NodeProcess`."""
        return {
            "folder": self.values.get("folder", str(ROOT)),
            "python": self.values.get("python"),
            "environment": dict(self.values.get("environment", {})),
        }


def read(path: Path) -> ClusterSettings:
    """Return what a cluster file says.

    Raises:
        ClusterError: it cannot be read, is no YAML, or holds a key or value that is not allowed.
    """
    try:
        import yaml
    except ImportError:
        raise ClusterError(
            f"--cluster needs PyYAML, not installed here: {install_command('cluster')}"
        ) from None
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no UTF-8"
        raise ClusterError(f"--cluster {path}: cannot be read: {why}; see {PAGE}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f" at line {mark.line + 1}" if mark else ""
        raise ClusterError(f"--cluster {path}: no YAML{at}; see {PAGE} for one") from None
    problem = problem_of(values)
    if problem:
        raise ClusterError(f"--cluster {path}: {problem}")
    others = {key: value for key, value in values.items() if key != "backend"}
    return ClusterSettings(values["backend"], others)


def problem_of(values: Any) -> str | None:
    """Return what is wrong with the contents of a cluster file; None where nothing is."""
    if not isinstance(values, dict) or "backend" not in values:
        reason = "is empty" if values is None else "names no backend"
        return f"{reason}; allowed: `backend: NAME` with one of {', '.join(BACKENDS)}; see {PAGE}"
    backend = values["backend"]
    rules = COMMON | {"dask": DASK, "submitit": SUBMITIT}.get(str(backend), {})
    for key, value in values.items():
        if problem := _problem_of_key(str(key), value, rules, str(backend)):
            return problem
    if backend == "dask" and not {"dask_address", "dask_scheduler_file"} & set(values):
        return "backend dask needs dask_address or dask_scheduler_file; give one of them"
    return None


def _problem_of_key(key: str, value: Any, rules: Mapping[str, Rule], backend: str) -> str | None:
    """Return what is wrong with one key or its value; None where nothing is."""
    if backend == "submitit" and key in OURS:
        return f"{key} cannot be set: {OURS[key]}; leave it out"
    if backend == "submitit" and key.startswith(SLURM):
        return None  # submitit itself knows which there are
    if key not in rules:
        near = difflib.get_close_matches(key, rules, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        more = f", {SLURM}* of submitit" if backend == "submitit" else ""
        return f"unknown key {key!r} (allowed: {', '.join(rules)}{more}){hint}"
    words, fits = rules[key]
    return None if fits(value) else f"{key} is {value!r}; allowed: {words}"
