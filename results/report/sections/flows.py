"""Build the section on gradient flow: which loss reaches which network, as a run verified it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from results.formatting import NOTHING
from results.grouping import group_by
from results.report.collection import Machine
from results.report.model import Block, Cell, Fold, Row, Section, Table

# the states of the gradient of a loss with respect to a network
VALUE, ZERO, ABSENT = "value", "zero", "absent"
SYMBOLS = {VALUE: "✓", ZERO: "0", ABSENT: NOTHING}
NOTES = {
    VALUE: "its gradient has a value",
    ZERO: "its gradient is there, and exactly 0 in every element",
    ABSENT: "it has no gradient",
}
Flow = Mapping[str, Mapping[str, str]]  # loss → network → state
PICTURE = (
    "A row for each network; it may consist of several, as net1 and net2. Bar: of all pairs of a "
    "loss and a network how many the loss changes (green), and how many it leaves (grey)."
)
LEGEND = (
    f"Green: how many networks the loss changes. {NOTHING}: it has no gradient there. 0: it has "
    "one that is exactly 0, as in JAX, which has no absent one. Torch stands before jax."
)
SHOWN = 3  # losses of a network that the picture names, the last one among them
TEXT = [
    "Each loss's float64 gradient by each network, as it was found in the session and held to "
    "what the scenario declares; a loss that reached what it should not would have stopped the "
    "cell.",
]


class _Reach(NamedTuple):
    """Hold what a loss does to the networks of its scenario.

    Attributes:
        changed: the networks that it changes in every framework.
        left: every other network → the states of its gradient, torch before jax.
        differ: whether the loss changes one of those in some framework.
    """

    loss: str
    changed: list[str]
    left: dict[str, str]
    differ: bool


def section(machine: Machine) -> Section:
    """Return the section on gradient flow: a table of which loss reaches which network.

    It has a row for each loss, and a field for each network of the loss's scenario.
    """
    flows = verified_flows(machine)
    topic = "Who may change whom"
    if not flows:
        text = "None of these runs says which loss reached which network."
        return Section("flow", text, [[text]], topic)
    blocks: list[Block] = [_picture(flows), _table(flows), Fold("How it was found", [TEXT])]
    return Section("flow", title(flows), blocks, topic)


def title(flows: Mapping[str, Mapping[str, Flow]]) -> str:
    """Return the finding: whether the frameworks let the same losses change the same networks."""
    pairs: dict[tuple[str, str, str], set[bool]] = {}
    for name, by_framework in flows.items():
        for flow in by_framework.values():
            for loss, row in flow.items():
                for network, state in row.items():
                    pairs.setdefault((name, loss, network), set()).add(state == VALUE)
    differ = sum(len(changes) > 1 for changes in pairs.values())
    if differ:
        return f"The frameworks disagree on who may change whom in {differ} of {len(pairs)} pairs"
    changed = sum(True in changes for changes in pairs.values())
    return (
        f"Of {len(pairs)} pairs of a loss and a network, the loss changes the network in {changed}"
        "; the frameworks agree"
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


def _picture(flows: Mapping[str, Mapping[str, Flow]]) -> Table:
    """Return the table that leads the section: a row for each network, with all of its losses.

    Args:
        flows: as `verified_flows` returns them.
    """
    rows = [
        Row(
            [Cell(_title(name)), *_summary([_loss_reach(flow, loss) for loss in _losses(flow)])],
            {"scenario": name.partition("/")[0]},
        )
        for name, flow in flows.items()
    ]
    columns = ["network", "losses", "pairs", "each loss changes"]
    return Table("What the losses of each network change", columns, rows, (1,), about=PICTURE)


def _summary(reaches: Sequence[_Reach]) -> list[Cell]:
    """Return the cells of a network in `_picture`: its losses, pairs as a bar, and what changes."""
    changed = sum(len(one.changed) for one in reaches)
    left = sum(len(one.left) for one in reaches)
    differ = any(one.differ for one in reaches)
    bar = [("good", changed), ("bad" if differ else "inconclusive", left)]
    texts = [f"{one.loss}: {in_runs(one.changed) or 'nothing'}" for one in reaches]
    if len(texts) > SHOWN:
        texts = [*texts[: SHOWN - 1], "…", texts[-1]]
    return [
        Cell(str(len(reaches))),
        Cell(f"{changed} changed, {left} not", bar=bar),
        Cell("; ".join(texts), kind="failed" if differ else ""),
    ]


def _table(flows: Mapping[str, Mapping[str, Flow]]) -> Table:
    """Return the table of all flows: a row for each loss.

    Args:
        flows: as `verified_flows` returns them.
    """
    rows = [row for name, flow in flows.items() for row in _rows(name, flow)]
    columns = ["network", "loss", "reach", "changes", "leaves as they are"]
    title = "Each loss, and what it does to each part of the network"
    return Table(title, columns, rows, folded=True, about=LEGEND)


def _rows(name: str, flow: Mapping[str, Flow]) -> list[Row]:
    """Return a row for each loss of a scenario.

    Args:
        name: ``scenario/variant``.
        flow: the flow of each framework.
    """
    filters = {"scenario": name.partition("/")[0]}
    return [
        Row([Cell(_title(name)), *_cells(_loss_reach(flow, loss))], filters)
        for loss in _losses(flow)
    ]


def _title(name: str) -> str:
    """Return the name of a network as everywhere: ``scenario``, or ``scenario variant``."""
    scenario, _, variant = name.partition("/")
    return f"{scenario} {variant}" if variant not in ("", "-") else scenario


def _losses(flow: Mapping[str, Flow]) -> list[str]:
    """Return the losses of a scenario, each once, in their order."""
    return list(dict.fromkeys(loss for one in flow.values() for loss in one))


def _loss_reach(flow: Mapping[str, Flow], loss: str) -> _Reach:
    """Return which networks a loss changes in all frameworks, and how it leaves the others."""
    networks = dict.fromkeys(net for one in flow.values() for row in one.values() for net in row)
    frameworks = sorted(flow, reverse=True)  # torch before jax, as everywhere
    states = {
        network: [flow[name].get(loss, {}).get(network) for name in frameworks]
        for network in networks
    }
    changed = [network for network, kinds in states.items() if set(kinds) == {VALUE}]
    differ = any(VALUE in kinds for network, kinds in states.items() if network not in changed)
    left = {net: _symbols(kinds) for net, kinds in states.items() if net not in changed}
    return _Reach(loss, changed, left, differ)


def _cells(one: _Reach) -> list[Cell]:
    """Return the cells of a loss: its name, its reach as a bar, and the networks on either side."""
    changed, left, differ = one.changed, one.left, one.differ
    alike = group_by(left, left.__getitem__)
    bar = [("good", len(changed)), ("bad" if differ else "inconclusive", len(left))]
    words = f"{len(changed)} changed, {len(left)} not"
    note = "; ".join(f"{symbol}: {NOTES[state]}" for state, symbol in SYMBOLS.items())
    return [
        Cell(one.loss),
        Cell(words, bar=bar),
        Cell(in_runs(changed), NOTES[VALUE], "reached") if changed else Cell(NOTHING),
        Cell(
            "; ".join(f"{in_runs(names)} {symbols}" for symbols, names in alike.items()),
            note,
            "failed" if differ else "absent",
        )
        if left
        else Cell(""),
    ]


def in_runs(names: Sequence[str]) -> str:
    """Return names in a row, those that count up by one as a range: ``net1 to net4, head``."""
    runs: list[list[str]] = []
    for name in names:
        if runs and _follows(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)


def _follows(before: str, name: str) -> bool:
    """Return whether two names differ only in the number at their end, by one."""
    ends = [re.fullmatch(r"(.*?)(\d{1,9})", one, re.DOTALL) for one in (before, name)]
    first, second = ends
    return bool(first and second and first[1] == second[1] and int(second[2]) == int(first[2]) + 1)


def _symbols(states: Sequence[str | None]) -> str:
    """Return the state in each framework as symbols: one where they agree, ``– / 0`` where not."""
    return " / ".join(dict.fromkeys(SYMBOLS.get(state or "", "?") for state in states))
