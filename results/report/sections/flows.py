"""Build the section on gradient flow: which loss reaches which network, as a run verified it."""

from __future__ import annotations

from collections.abc import Mapping

from results.formatting import NOTHING
from results.report.collection import Machine
from results.report.model import Cell, Fold, Row, Section, Table

# the states of the gradient of a loss with respect to a network
VALUE, ZERO, ABSENT = "value", "zero", "absent"
SYMBOLS = {VALUE: "✓", ZERO: "0", ABSENT: NOTHING}
KINDS = {VALUE: "reached", ZERO: "zero", ABSENT: "absent"}  # of the cell, for its style
NOTES = {
    VALUE: "its gradient has a value",
    ZERO: "its gradient is there, and exactly 0 in every element",
    ABSENT: "it has no gradient",
}
Flow = Mapping[str, Mapping[str, str]]  # loss → network → state
LEGEND = (
    "✓ the loss changes the network. 0: its gradient is there, and exactly 0 (JAX has no absent "
    f"one). {NOTHING}: it has none. Where the frameworks differ, torch stands before jax."
)
TEXT = [
    "Each loss's float64 gradient by each network, as it was found in the session and held to "
    "what the scenario declares; a loss that reached what it should not would have stopped the "
    "cell.",
]


def section(machine: Machine) -> Section:
    """Return the section on gradient flow: a table of which loss reaches which network.

    It has a row for each loss, and a field for each network of the loss's scenario.
    """
    flows = verified_flows(machine)
    topic = "Who may change whom"
    if not flows:
        text = "None of these runs says which loss reached which network."
        return Section("flow", text, [[text]], topic)
    return Section("flow", title(flows), [_table(flows), Fold("How it was found", [TEXT])], topic)


def title(flows: Mapping[str, Mapping[str, Flow]]) -> str:
    """Return the finding: whether the frameworks let the same losses change the same networks."""
    pairs: dict[tuple[str, str, str], set[bool]] = {}
    for name, by_framework in flows.items():
        for flow in by_framework.values():
            for loss, row in flow.items():
                for network, state in row.items():
                    pairs.setdefault((name, loss, network), set()).add(state == VALUE)
    differ = sum(len(found) > 1 for found in pairs.values())
    if differ:
        return f"The frameworks disagree on who may change whom in {differ} of {len(pairs)} pairs"
    changed = sum(True in found for found in pairs.values())
    return (
        f"Of {len(pairs)} pairs of a loss and a network {changed} change, the others never, and "
        "the frameworks agree on each"
    )


def verified_flows(machine: Machine) -> dict[str, dict[str, Flow]]:
    """Return the gradient flow of each scenario variant, as the runs verified it.

    Returns:
        ``scenario/variant`` → framework → flow, each from the newest run that has it.
    """
    verified: dict[str, dict[str, Flow]] = {}
    for run in machine.runs:
        for name, by_framework in (run.settings.get("flows") or {}).items():
            verified[name] = {**verified.get(name, {}), **by_framework}
    return verified


def _table(flows: Mapping[str, Mapping[str, Flow]]) -> Table:
    """Return the table of all flows: a row for each loss.

    Args:
        flows: as `verified_flows` returns them.
    """
    rows = [row for name, flow in flows.items() for row in _rows(name, flow)]
    most = max(len(row.cells) for row in rows) - 2
    columns = ["network", "loss", *(f"part {place + 1}" for place in range(most))]
    title = "Each loss, and what it does to each part of the network"
    return Table(title, columns, rows, about=LEGEND)


def _rows(name: str, flow: Mapping[str, Flow]) -> list[Row]:
    """Return a row for each loss of a scenario.

    Scenarios have different networks, so each field names its network, instead of the column.

    Args:
        name: ``scenario/variant``.
        flow: the flow of each framework.
    """
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
    """Return the field that says whether a loss reaches a network: ``net1 ✓``.

    It has one symbol where the frameworks agree, else that of each.
    """
    by_framework = {name: flow[name].get(loss, {}).get(network) for name in frameworks}
    states = {state for state in by_framework.values() if state}
    if not states:
        return Cell(f"{network} ?", "not told", "missing")
    notes = [
        f"{name}: {NOTES.get(state or '', 'not told')}" for name, state in by_framework.items()
    ]
    note = "; ".join(notes)
    if len(states) == 1:
        state = states.pop()
        return Cell(f"{network} {SYMBOLS.get(state, '?')}", note, KINDS.get(state, ""))
    symbols = " / ".join(SYMBOLS.get(state or "", "?") for state in by_framework.values())
    return Cell(f"{network} {symbols}", note, "absent" if VALUE not in states else "failed")
