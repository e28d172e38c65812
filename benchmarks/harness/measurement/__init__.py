"""Measure one group of cells, or the canaries, in the worker processes of a pool."""
