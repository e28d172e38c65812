"""Evaluate the suite itself: trial, demonstrations, reference, page of traps. Not installed."""
