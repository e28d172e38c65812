"""Damage the files of a run in every way that is likely, and read them by every reader."""
