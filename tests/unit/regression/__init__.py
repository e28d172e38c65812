"""Tests of `benchmarks.regression`."""
