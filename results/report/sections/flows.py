"""Section 5: who may change whom, as the float64 gradients of a run proved it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from results.formatting import NOTHING
from results.report.collection import Machine
from results.report.model import Cell, Row, Section, Table

# what the gradient of a loss by a network was found to be
VALUE, ZERO, ABSENT = "value", "zero", "absent"
WORDS = {VALUE: "✓", ZERO: "0", ABSENT: NOTHING}
KINDS = {VALUE: "reached", ZERO: "zero", ABSENT: "absent"}
NOTES = {
    VALUE: "its gradient has a value",
    ZERO: "its gradient is there, and exactly 0 in every element",
    ABSENT: "it has no gradient",
}
Flow = Mapping[str, Mapping[str, str]]  # loss → network → what was found


def section(machine: Machine) -> Section:
    """One table: a row a loss of each scenario and variant, a field a network of it."""
    flows = proven(machine)
    if not flows:
        told = "None of these runs says which loss reached which network."
        return Section("flow", "Who may change whom", [[told]])
    blocks: list[Any] = [
        [
            "Each loss's float64 gradient by each network, as it was found in the session and held "
            "to what the scenario declares; a loss that reached what it should not would have "
            "stopped the cell. ✓: the loss changes the network. 0: there is a gradient and every "
            "element of it is exactly 0 (JAX has no absent one for what is differentiated). "
            f"{NOTHING}: there is none. Where the frameworks differ, torch stands before jax.",
        ]
    ]
    return Section("flow", "Who may change whom", [*blocks, _table(flows)])


def proven(machine: Machine) -> dict[str, dict[str, Flow]]:
    """``scenario/variant`` → framework → flow, the newest of these runs that has it."""
    found: dict[str, dict[str, Flow]] = {}
    for run in machine.runs:
        flows = run.settings.get("flows")
        for name, by_framework in (flows if isinstance(flows, Mapping) else {}).items():
            found[name] = {**found.get(name, {}), **by_framework}
    return found


def _table(flows: Mapping[str, Mapping[str, Flow]]) -> Table:
    rows = [row for name, flow in flows.items() for row in _rows(name, flow)]
    most = max(len(row.cells) for row in rows) - 2
    columns = ["network", "loss", *(f"part {place + 1}" for place in range(most))]
    return Table("Each loss, and what it does to each part of the network", columns, rows)


def _rows(name: str, flow: Mapping[str, Flow]) -> list[Row]:
    """A row a loss, each field named, as every scenario has parts of its own."""
    scenario, _, variant = name.partition("/")
    title = f"{scenario} {variant}" if variant not in ("", "-") else scenario
    frameworks = sorted(flow, reverse=True)  # torch before jax, as everywhere
    losses = dict.fromkeys(loss for one in flow.values() for loss in one)
    networks = dict.fromkeys(net for one in flow.values() for row in one.values() for net in row)
    return [
        Row(
            [Cell(title), Cell(loss), *(_cell(flow, frameworks, loss, net) for net in networks)],
            {"scenario": scenario},
        )
        for loss in losses
    ]


def _cell(flow: Mapping[str, Flow], frameworks: list[str], loss: str, network: str) -> Cell:
    found = {f: flow[f].get(loss, {}).get(network) for f in frameworks}
    states = {state for state in found.values() if state}
    if not states:
        return Cell(f"{network} ?", "not told", "missing")
    words = " / ".join(WORDS.get(state or "", "?") for state in found.values())
    note = "; ".join(f"{f}: {NOTES.get(s or '', 'not told')}" for f, s in found.items())
    if len(states) == 1:
        state = states.pop()
        return Cell(f"{network} {WORDS.get(state, '?')}", note, KINDS.get(state, ""))
    return Cell(f"{network} {words}", note, "absent" if VALUE not in states else "failed")
