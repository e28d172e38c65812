"""Bring units to nodes: one file for each engine."""
