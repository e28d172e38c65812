"""Prepare, check and time cells of one framework in a process of its own, run by ``python -m``."""
