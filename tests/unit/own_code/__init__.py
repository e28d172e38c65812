"""Tests of `benchmarks.own_code`."""
