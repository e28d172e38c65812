"""Show what each tool alarms on and finds on every machine of the trial, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.evaluation.trial import machines, plan, rates, sections
from benchmarks.evaluation.trial.plan import OURS

SLOWER = 0.03  # of the head, of which the share that is found is shown


def section(root: Path) -> list[str]:
    """Return the lines that show all tools on each machine below ``root``; none without replays."""
    rows = [
        [machines.in_words(folder), *row]
        for folder in machines.recorded(root)
        if (folder / "replay.json").exists()
        for row in _rows(json.loads((folder / "replay.json").read_text()))
    ]
    if not rows:
        return []
    return [
        *sections.prose(
            f"Every tool with its usual setting and a minute for a decision: the share of "
            f"{plan.TRIALS} replayed suites of unchanged code in which it calls a cell slower, and "
            f"of cells slowed by {SLOWER:.0%} that it finds. A high share found is worth little "
            "where the share of alarms is high too."
        ),
        "",
        *sections.table(["machine", "launches", "tool", "alarms, %", "+3 % found, %"], rows, 3),
        "",
    ]


def _rows(replayed: dict[str, Any]) -> Iterator[list[str]]:
    """Yield launches, tool, alarms and slowdowns found, from the replay of one machine."""
    for condition, result in replayed.get("conditions", {}).items():
        tools = {OURS: result["ours"][rates.MAIN], **result["tools"]}
        for tool, entry in tools.items():
            count = entry["alarms"]
            alarms = sections.percent(count["suite_slower"], count["suites"])
            power = sections.percent(*rates.power_of(entry["power"], str(SLOWER)))
            yield [condition, tool, alarms, power]
