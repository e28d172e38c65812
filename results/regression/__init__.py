"""Decide on comparisons of two versions, of two stored runs, and of many runs over time."""
