"""Demonstrate ``cascade-bench regress`` on faults and on unchanged code."""
