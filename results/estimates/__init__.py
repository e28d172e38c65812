"""Estimate the times and ratios of a whole run."""
