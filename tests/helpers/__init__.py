"""Provide made-up machines, frameworks, sessions and runs to tests of several modules."""
