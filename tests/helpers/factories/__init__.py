"""Factories of records, runs and comparisons to test with."""
