"""Define the one-letter mark of each verdict, shared by the terminal tables and the report."""

from __future__ import annotations

from results.statistics.verdict import EQUAL, FASTER, INCONCLUSIVE, SLOWER

VERDICT_MARKS = {SLOWER: "▲", FASTER: "▼", EQUAL: "=", INCONCLUSIVE: "?"}
