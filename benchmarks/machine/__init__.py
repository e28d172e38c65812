"""Describe the machine: its hardware, its settings, its load, and all that disturbs timing."""
