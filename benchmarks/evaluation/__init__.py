"""Evaluate the suite itself: trial, demonstrations, reference runs and the page of traps.

This is research code that runs from a clone; it is not part of the installed package.
"""
