"""Benchmark files for the other tools' commands; each is copied into a folder of its own first."""
