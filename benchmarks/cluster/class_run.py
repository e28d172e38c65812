"""Keep one run for each class of machine: nodes of one class have comparable times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from benchmarks.cluster.unit import FailedGroup, UnitAnswer
from benchmarks.harness.protocol.cells import Cell, groups
from benchmarks.harness.session import resume
from benchmarks.harness.session.checkpoint import Checkpoint
from benchmarks.harness.session.open_run import OpenRun
from results.records.record import Record, Run

# what differs from node to node of a class, or from hour to hour, and is kept for each node
OF_A_NODE = ("load", "memory_available_bytes", "swap_used_bytes", "clock_mhz", "kernel")


class ClassRun(OpenRun):
    """Collect what the nodes of one class have measured, and save it.

    A class of machine is what `environment.identity` names: same processor, share of it, GPU,
    driver, versions and settings.

    Args:
        machine: the description of the first node of the class.
        folder: of all runs.
        settings: of the session, see `jobs.settings_of`.
        about: what the run says of the session on the cluster, beside its nodes.

    Attributes:
        nodes: name → what is its own, see `OF_A_NODE`, and the units that it measured.
        unmeasured: records of the cells that this run lists too, and that nobody has measured.
    """

    def __init__(
        self,
        machine: dict[str, Any],
        folder: Path,
        settings: Mapping[str, Any],
        about: Mapping[str, Any],
    ) -> None:
        super().__init__(machine, {**settings, "canaries": [], "product_seconds": {}})
        self.about = about
        self.checkpoint = Checkpoint(folder, enabled=True)
        self.nodes: dict[str, dict[str, Any]] = {}
        self.unmeasured: dict[Cell, Record] = {}

    @classmethod
    def resumed(
        cls, run: Run, folder: Path, settings: Mapping[str, Any], about: Mapping[str, Any]
    ) -> ClassRun:
        """Return the run of a class that an earlier session began."""
        class_run = cls(dict(run.machine), folder, settings, about)
        class_run.go_on_with(run, [resume.cell_of(record) for record in run.records])
        class_run.nodes = dict((run.settings.get("cluster") or {}).get("nodes") or {})
        return class_run

    def take(self, answer: UnitAnswer, cells: Sequence[Cell]) -> None:
        """Record what a node of this class says about a unit.

        Args:
            answer: of the node.
            cells: of the unit.
        """
        self._take_node(answer)
        members = list(groups(cells).values())
        for group, result in zip(members, answer["groups"], strict=True):
            if "failed" in result:
                reason = f"the harness failed: {cast('FailedGroup', result)['failed']}"
                self.measurements.fail(group, "crashed", reason)
            else:
                self.machine |= self.measurements.add_group(group, result)
        for cell in cells:
            record = self.measurements.records[cell]
            self.measurements.records[cell] = {**record, "node": answer["node"]["name"]}

    def _take_node(self, answer: UnitAnswer) -> None:
        """Note who answers, and its canaries."""
        name, machine = answer["node"]["name"], answer["node"]["machine"]
        node = self.nodes.setdefault(name, {"units": []})
        node |= {key: machine[key] for key in OF_A_NODE if machine.get(key) is not None}
        node["units"] = [*node["units"], answer["unit"]]
        for result in answer["canaries"]:
            self.settings["canaries"] += [{**one, "node": name} for one in result["verdicts"]]
            for kind, seconds in result["product_seconds"].items():
                self.settings["product_seconds"].setdefault(kind, []).extend(seconds)
            self.measurements.add_time(result["spent"], result["worker_seconds"])

    def run(self, *, ended: bool = False) -> Run:
        """Return the run so far.

        Args:
            ended: whether the session is over, so that the run gets the time of its end.
        """
        self.measurements.estimate()
        records = (self.measurements.records | self.unmeasured).values()
        about = {"cluster": {**self.about, "nodes": self.nodes}}
        return self.run_of(records, about, ended=ended)

    def save(self, *, ended: bool = False) -> None:
        """Save the run now; where that fails at the end, in a temporary folder."""
        self.checkpoint.save(lambda: self.run(ended=ended))
        if ended:
            self.checkpoint.rescue(lambda: self.run(ended=True))
