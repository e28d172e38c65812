"""Turn the result of ``cascade-bench try`` into HTML for a notebook, rows for pandas, and text.

It has a row for each framework, way of writing the backward pass, and phase.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

HEADINGS = ("framework", "way", "phase", "time", "ratio [interval]", "predicted", "verdict")


def notebook_table(
    answer: str, rows: Iterable[Mapping[str, Any]], pair_rows: Iterable[Mapping[str, Any]]
) -> str:
    """Return the HTML that a notebook shows of a comparison; every text of the case is escaped.

    Args:
        answer: the result in one sentence.
        rows: one for each framework, way and phase.
        pair_rows: one for each way that was timed in both frameworks.
    """
    head = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in row_texts(row)) + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<p>{html.escape(answer)}</p>{table}{_list_of_pairs(pair_rows)}"


def _list_of_pairs(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the ratios of the two frameworks as an HTML list; empty where there are none."""
    lines = [
        f"{row['way']} in phase {row['phase']}: {ratio_text(row['ratio'])}, {row['verdict']}"
        for row in rows
    ]
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f"<p>JAX ÷ torch</p><ul>{items}</ul>" if items else ""


def flat_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with a column for each bound of its intervals."""
    return dict(_columns(row))


def _columns(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield name and value of each column of a row."""
    for name, value in row.items():
        if name in ("seconds", "ratio"):
            value = value or {}
            yield name, value.get("estimate")
            yield f"{name}_low", value.get("low")
            yield f"{name}_high", value.get("high")
        elif not isinstance(value, dict | list):
            yield name, value


def row_texts(row: Mapping[str, Any]) -> list[str]:
    """Return the texts of a row in the order of `HEADINGS`; a way without a time shows why."""
    ratio, seconds, predicted = row.get("ratio"), row.get("seconds"), row.get("predicted_ratio")
    reason = row.get("why") or row.get("equivalence") or ""
    return [
        str(row["framework"]),
        str(row["way"]),
        str(row["phase"]),
        seconds_text(seconds["estimate"]) if seconds else str(row.get("outcome") or ""),
        ratio_text(ratio) if ratio else "",
        f"{predicted:.2f}" if predicted else "",
        str(row.get("verdict") or "") if seconds else str(reason),
    ]


def ratio_text(ratio: Mapping[str, Any]) -> str:
    """Return a ratio with its interval, if it has one."""
    if ratio.get("low") is None or ratio.get("high") is None:
        return f"{ratio['estimate']:.2f}"
    return f"{ratio['estimate']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def seconds_text(seconds: float) -> str:
    """Return a time with three digits, in the unit that suits it."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1.0:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
