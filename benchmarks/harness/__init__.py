"""Cells, workers, launches, the clock, the gate: everything between a spec and a record."""
