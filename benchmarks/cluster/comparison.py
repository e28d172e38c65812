"""Send a comparison of two versions to a node of a cluster, wait for it, and save it here.

Base and head are timed in one job on one node: times of two nodes cannot be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.cluster import node_environment, settings
from benchmarks.cluster.controller import Controller
from benchmarks.cluster.engines import Start, start_backend
from benchmarks.cluster.errors import ClusterError
from benchmarks.cluster.unit import UnitAnswer, UnitJob
from benchmarks.machine import environment
from benchmarks.regression import output
from results.records import storage
from results.records.record import new_run_id

UNIT = "regress"


def compare(
    arguments: Sequence[str],
    file: Path,
    folder: Path,
    seconds: float,
    start: Start = start_backend,
) -> tuple[dict[str, Any], bool]:
    """Have a node compare, and save the comparison here.

    Args:
        arguments: of ``cascade-bench regress``, as they make the comparison on the node.
        file: the cluster file.
        folder: of comparisons.
        seconds: that it is going to take.
        start: starts the engine.

    Returns:
        The document, see `results.regression.document`, and whether it is saved.

    Raises:
        ClusterError: no node has compared, with what each said.
        RecordError: the folder cannot be written.
    """
    storage.check_writable(folder)
    cluster = settings.read(file)
    answers: list[UnitAnswer] = []
    failures: list[str] = []
    backend = start(cluster, new_run_id())
    try:
        controller = Controller(backend, answers.append, lambda _, reason: failures.append(reason))
        output.print_line(f"the comparison goes to a node of {file}, for about {seconds / 60:.3g}m")
        controller.run([_job(arguments, seconds)])
    finally:
        backend.close()
    for node, reason in controller.refused.items():
        output.print_line(f"node {node}: {reason}: it got nothing")
    if failures:
        raise ClusterError(f"no node has compared: {failures[0]}")
    document = answers[0].get("document")
    if document is None:
        node = answers[0]["node"]["name"]
        raise ClusterError(f"node {node}: {answers[0].get('message') or 'it saved no comparison'}")
    store = output.DocumentStore(folder)
    store.save(document)
    return document, store.report()


def _job(arguments: Sequence[str], seconds: float) -> UnitJob:
    """Return the comparison as the one unit of a session."""
    return {
        "unit": UNIT,
        "groups": [],
        "canaries": [],
        "specs": [],
        "expected": node_environment.expected([], environment.describe()),
        "seconds": seconds,
        "regress": list(arguments),
    }
